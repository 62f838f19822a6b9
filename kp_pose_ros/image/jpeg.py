# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decodes all picture files, after a check of the size that they claim, and encodes JPEG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.claims import KINDS, claimed_size, kind_of
from kp_pose_ros.image.frame import MAX_SIDE, Frame, Pixels, Size
from kp_pose_ros.settings import setting

# Given a picture's (height, width), returns how many columns of it are needed.
MinWidth = Callable[[Size], int]

# The format field of a CompressedImage with the JPEG of a bgr8 picture: it tells image_transport's
# subscribers the order of the colours.
JPEG_FORMAT = "bgr8; jpeg compressed bgr8"

# What image_transport's compressed_image_transport publishes, and WebP, which web clients send.
_TRANSPORTED = ("JPEG", "PNG", "TIFF", "WebP")
_DEEP = ("PNG", "TIFF")  # may have 16 bits a channel
# A JPEG can be decoded 2, 4 or 8 times smaller in a fraction of the time: each of its blocks of
# 8 x 8 pixels is computed as 4 x 4, 2 x 2 or 1 x 1.
_REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


@dataclass(frozen=True, slots=True)
class JpegSettings:
    """Settings of `annotated/compressed`."""

    jpeg_quality: int = setting(
        80, "JPEG quality of annotated/compressed, 1 (smallest) to 100 (best).", limits=(1, 100)
    )
    max_rate: float = setting(
        0.0,
        "Maximum rate of annotated/compressed, images per second. 0: no limit.",
        limits=(0, 1000),
    )
    max_width: int = setting(
        0,
        "Maximum width of annotated/compressed, pixels. 0: the image's width.",
        limits=(0, MAX_SIDE),
    )

    def width(self, source: Size) -> int:
        """Return the width for a camera's picture of (height, width)."""
        return min(source[1], self.max_width or source[1])


def decode_compressed(
    content: bytes, min_width: MinWidth | None = None, mosaic: str | None = None
) -> Frame:
    """Return a picture as bgr8, or as bgr16 if it has 16 bits a channel.

    Args:
        content: a file of one of the `_TRANSPORTED` kinds.
        min_width: how many columns of the picture are needed; a JPEG is decoded at the
            greatest reduction that keeps this many. None: full size.
        mosaic: the Bayer encoding in which the picture is returned if it has one channel.

    Raises:
        FrameError: the data is of no such kind, cut short, damaged or too large.
    """
    size = claimed_size(content, _TRANSPORTED)
    reduction = 1
    if min_width and not mosaic and kind_of(content) == "JPEG":
        reduction = _reduction(size, min_width(size))
    # The pixels as the sensor gave them: the calibration does not include an EXIF rotation.
    flags = cv2.IMREAD_IGNORE_ORIENTATION
    flags |= cv2.IMREAD_ANYCOLOR if mosaic else _REDUCTIONS[reduction]
    return _decode(content, flags, reduction, mosaic)


def decode_picture(content: bytes) -> Pixels:
    """Return the picture in a file of one of `KINDS`, (height, width, 3) BGR, upright.

    Raises:
        FrameError: the data is of no such kind, cut short, damaged or too large.
    """
    claimed_size(content, KINDS)
    return _decode(content, cv2.IMREAD_COLOR).to_bgr()


def encode_jpeg(picture: Pixels, quality: int) -> npt.NDArray[np.uint8]:
    """Encode a (height, width, 3) BGR picture as JPEG bytes; `quality` is 1 to 100."""
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]


def _decode(content: bytes, flags: int, reduction: int = 1, mosaic: str | None = None) -> Frame:
    if kind_of(content) in _DEEP:
        flags |= cv2.IMREAD_ANYDEPTH  # a camera may use only the low bits of 16
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise FrameError("the picture is damaged")
    encoding = "bgr16" if picture.dtype == np.uint16 else "bgr8"
    if mosaic and picture.ndim == 2:
        encoding = mosaic
    return Frame(picture, encoding, reduction)  # type: ignore[arg-type]


def _reduction(size: Size, columns: int) -> int:
    """Return the greatest reduction that keeps enough columns and divides both sides evenly."""
    height, width = size
    fitting = (
        each
        for each in _REDUCTIONS
        if not (height % each or width % each) and width // each >= columns
    )
    return next(fitting, 1)
