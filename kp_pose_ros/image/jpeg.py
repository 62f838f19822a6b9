# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG bytes -> frames, with a look at what they claim before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Frame, Pixels, Size

# Told a picture's (height, width), says how many columns of it are enough.
EnoughColumns = Callable[[Size], int]

# What a CompressedImage calls the JPEG of a bgr8 picture: image_transport's subscribers read of it
# which colour comes first.
JPEG_FORMAT = "bgr8; jpeg compressed bgr8"
MAX_PIXELS = 2**26  # 67 megapixels, more than any robot's camera has; a larger claim is damage

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# Start of frame: 0xC0 to 0xCF without three that mean something else (ITU-T T.81, table B.1).
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# How many times smaller a JPEG can be decoded, in a fraction of the time: its blocks of 8 x 8
# pixels are computed with 4 x 4, 2 x 2 or 1 x 1.
_REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


def decode_compressed(content: bytes, enough_columns: EnoughColumns | None = None) -> Frame:
    """Return the picture in a JPEG or PNG file, as bgr8.

    Args:
        content: the file.
        enough_columns: how many columns of the picture somebody needs; a JPEG is then reduced as
            far as they remain. None decodes in full.

    Raises:
        FrameError: it is of neither kind, cut short, damaged or too large.
    """
    size = _claimed_size(content)
    if size[0] * size[1] > MAX_PIXELS:
        raise FrameError(f"claim {size[1]} x {size[0]} pixels: expected at most {MAX_PIXELS}")
    if 0 in size:
        raise FrameError("are a damaged picture")
    reduction = 1
    if enough_columns is not None and content.startswith(_JPEG):
        reduction = _reduction(size, enough_columns(size))
    try:
        # The pixels as the sensor gave them: its calibration knows of no EXIF rotation.
        picture = cv2.imdecode(
            np.frombuffer(content, np.uint8),
            _REDUCTIONS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION,
        )
    except cv2.error:
        picture = None
    if picture is None:
        raise FrameError("are a damaged picture")
    return Frame(picture, reduction=reduction)  # type: ignore[arg-type]


def encode_jpeg(picture: Pixels, quality: int) -> npt.NDArray[np.uint8]:
    """Return a (height, width, 3) BGR picture as the bytes of a JPEG; `quality` is 1 to 100."""
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]


def _reduction(size: Size, columns: int) -> int:
    """Return the greatest that leaves enough columns, and no part of a pixel at the edges."""
    height, width = size
    fitting = (
        each
        for each in _REDUCTIONS
        if not (height % each or width % each) and width // each >= columns
    )
    return next(fitting, 1)


def _claimed_size(content: bytes) -> Size:
    for signature, read_size in _READERS.items():
        if content.startswith(signature):
            size = read_size(content)
            if size is None:
                raise FrameError("are a picture cut short")
            return size
    raise FrameError("are neither a JPEG nor a PNG picture")


def _jpeg_size(content: bytes) -> Size | None:
    """Return height and width, or None without an end: decoders paint what is missing grey."""
    size, position = None, len(_JPEG)
    while position + 9 <= len(content):
        marker = content[position + 1]
        if marker == _START_OF_SCAN:
            return size if content.rfind(_JPEG_END, position) > 0 else None
        if marker in _START_OF_FRAME:
            size = _number(content, position + 5, 2), _number(content, position + 7, 2)
        position += 2 + _number(content, position + 2, 2)
    return None


def _png_size(content: bytes) -> Size | None:
    if content.rfind(_PNG_END) < 0:
        return None
    return _number(content, 20, 4), _number(content, 16, 4)


def _number(content: bytes, position: int, length: int) -> int:
    return int.from_bytes(content[position : position + length], "big")


_READERS: dict[bytes, Callable[[bytes], Size | None]] = {
    _JPEG: _jpeg_size,
    _PNG: _png_size,
}
