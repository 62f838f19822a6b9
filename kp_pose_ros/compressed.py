# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG bytes -> pictures, with a look at what they claim before anything is allocated."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from kp_pose_ros.errors import FrameError
from kp_pose_ros.frame import Pixels

MAX_PIXELS = 2**26  # 67 megapixels, more than any robot's camera has; a larger claim is damage

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_START_OF_SCAN = 0xDA
# Start of frame: 0xC0 to 0xCF without three that mean something else (ITU-T T.81, table B.1).
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def decode_compressed(content: bytes) -> Pixels:
    """Return the (height, width, 3) uint8 BGR picture in a JPEG or PNG file.

    Raises:
        FrameError: it is of neither kind, cut short, damaged or too large.
    """
    size = _claimed_size(content)
    if size[0] * size[1] > MAX_PIXELS:
        raise FrameError(f"claim {size[1]} x {size[0]} pixels: expected at most {MAX_PIXELS}")
    try:
        # The pixels as the sensor gave them: its calibration knows of no EXIF rotation.
        picture = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        picture = None
    if picture is None:
        raise FrameError("are a damaged picture")
    return picture  # type: ignore[return-value]


def _claimed_size(content: bytes) -> tuple[int, int]:
    for signature, read_size in _READERS.items():
        if content.startswith(signature):
            size = read_size(content)
            if size is None:
                raise FrameError("are a picture cut short")
            return size
    raise FrameError("are neither a JPEG nor a PNG picture")


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
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


def _png_size(content: bytes) -> tuple[int, int] | None:
    if content.rfind(_PNG_END) < 0:
        return None
    return _number(content, 20, 4), _number(content, 16, 4)


def _number(content: bytes, position: int, length: int) -> int:
    return int.from_bytes(content[position : position + length], "big")


_READERS: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    _JPEG: _jpeg_size,
    _PNG: _png_size,
}
