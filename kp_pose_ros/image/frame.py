# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera frame as the camera sent it, and its conversion to BGR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import FrameError

Pixels = npt.NDArray[np.uint8]
RawPixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Size = tuple[int, int]  # height, width
MAX_SIDE = 65500  # pixels; OpenCV's encoder refuses a longer side of a JPEG


def _by_code(code: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.cvtColor(pixels, code)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of one camera encoding lie in memory.

    Attributes:
        channels: array elements per pixel; 1 means that the array is two-dimensional.
        to_bgr: converts the array, reduced to uint8, to a (height, width, 3) uint8 BGR picture.
        dtype: type of one array element.
        half_rows: array rows for every two picture rows: 2, or 3 where a half-height chroma plane
            follows the luma plane.
        grid: (rows, columns) that the height and width have to be multiples of.
    """

    channels: int
    to_bgr: Callable[[Pixels], Pixels]
    dtype: type[np.uint8] | type[np.uint16] = np.uint8
    half_rows: int = 2
    grid: tuple[int, int] = (1, 1)


_GRAY = Encoding(1, _by_code(cv2.COLOR_GRAY2BGR))
_UYVY = Encoding(2, _by_code(cv2.COLOR_YUV2BGR_UYVY), grid=(1, 2))
_YUYV = Encoding(2, _by_code(cv2.COLOR_YUV2BGR_YUY2), grid=(1, 2))


def _bayer(code: int) -> Encoding:
    return Encoding(1, _by_code(code), grid=(2, 2))


# Names are those of sensor_msgs/image_encodings.hpp. OpenCV names a Bayer pattern by its second
# row and column, ROS by its first.
ENCODINGS: dict[str, Encoding] = {
    "bgr8": Encoding(3, lambda pixels: pixels),
    "8UC3": Encoding(3, lambda pixels: pixels),
    "rgb8": Encoding(3, _by_code(cv2.COLOR_RGB2BGR)),
    "bgra8": Encoding(4, _by_code(cv2.COLOR_BGRA2BGR)),
    "rgba8": Encoding(4, _by_code(cv2.COLOR_RGBA2BGR)),
    "mono8": _GRAY,
    "8UC1": _GRAY,
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding(1, _by_code(cv2.COLOR_YUV2BGR_NV12), half_rows=3, grid=(2, 2)),
    "nv21": Encoding(1, _by_code(cv2.COLOR_YUV2BGR_NV21), half_rows=3, grid=(2, 2)),
    "bayer_rggb8": _bayer(cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGB2BGR),
}
ENCODINGS |= {
    name.replace("8", "16"): replace(ENCODINGS[name], dtype=np.uint16)
    for name in ENCODINGS
    if name.startswith(("bgr", "rgb", "mono", "bayer_"))
}

# How many of 16 bits a camera may use. Drivers publish values in the low bits.
_BIT_DEPTHS = (8, 10, 12, 14, 16)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture in its camera's own encoding.

    Attributes:
        pixels: the camera's elements, a view whose row stride is the camera's row step. Its shape
            is (height, width, channels), without the last axis where there is one channel, and
            (height * 3 / 2, width) for nv12 and nv21.
        encoding: a key of `ENCODINGS`.
        reduction: factor by which `pixels` is smaller than the camera's picture, in each direction:
            a JPEG decoder can skip detail that is not needed.
        bit_depth: how many low bits of a 16-bit encoding the camera uses; 0: as many as this frame
            needs. `BitDepth` keeps it constant from frame to frame.

    Raises:
        FrameError: the encoding is unknown, the array's shape or type contradicts it, there is
            only one pixel, or a side is longer than `MAX_SIDE`.
    """

    pixels: RawPixels
    encoding: str = "bgr8"
    reduction: int = 1
    bit_depth: int = 0

    def __post_init__(self) -> None:
        layout = ENCODINGS.get(self.encoding)
        if layout is None:
            raise FrameError(
                f"encoding '{self.encoding}' is unknown: expected one of {', '.join(ENCODINGS)}"
            )
        shape, grid = self.pixels.shape, layout.grid
        if shape[:2] == (1, 1):  # OpenCV 4.5 (Humble) does not accept it
            raise FrameError("there is one pixel: expected a picture")
        # A pixel of one channel has no axis of its own.
        channels = shape[2:] or (1,)
        if (
            len(shape) not in (2, 3)
            or channels != (layout.channels,)
            or 0 in shape
            or self.pixels.dtype.itemsize != np.dtype(layout.dtype).itemsize
            or (shape[0] * 2) % (layout.half_rows * grid[0])
            or shape[1] % grid[1]
        ):
            raise FrameError(
                f"an array of shape {shape} and type {self.pixels.dtype} is not a "
                f"'{self.encoding}' picture: expected {layout.channels} channels of "
                f"{np.dtype(layout.dtype)}, height and width multiples of {grid[0]} and {grid[1]}"
            )
        if max(self.source_size) > MAX_SIDE:
            raise FrameError(
                "the picture has {} x {} pixels (height x width): expected at most {} each".format(
                    *self.source_size, MAX_SIDE
                )
            )

    @property
    def size(self) -> Size:
        """Height and width of this picture, in pixels."""
        rows, columns = self.pixels.shape[:2]
        return rows * 2 // ENCODINGS[self.encoding].half_rows, columns

    @property
    def source_size(self) -> Size:
        """Height and width of the camera's picture, in whose pixels poses are given."""
        height, width = self.size
        return height * self.reduction, width * self.reduction

    def to_gray(self) -> Pixels:
        """Return the picture as (height, width) uint8; mono8 frames are not copied."""
        if ENCODINGS[self.encoding] is _GRAY:
            return self.pixels  # type: ignore[return-value]
        return cv2.cvtColor(self.to_bgr(), cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]

    def to_bgr(self) -> Pixels:
        """Return the picture as (height, width, 3) uint8 BGR; bgr8 frames are not copied."""
        pixels = self.pixels
        if pixels.dtype.itemsize > 1:
            bits = self.bit_depth or used_bits(pixels)
            pixels = (pixels >> (bits - 8)).astype(np.uint8)
        return ENCODINGS[self.encoding].to_bgr(pixels)  # type: ignore[arg-type]


class BitDepth:
    """How many of 16 bits one camera uses: the most that two of its frames have needed.

    Many sensors put 10 or 12 bits into a 16-bit encoding, which does not say how many. A single
    frame does not show it either, since a dark picture needs fewer. With the maximum, the
    brightness of a camera's pictures changes only when brighter ones show that it uses more bits. A
    single one may be damaged, and would darken all that follow.
    """

    def __init__(self) -> None:
        self._most = [0, 0]  # the largest numbers of bits that frames have needed

    def of(self, frame: Frame) -> Frame:
        """Return the frame with the camera's bit depth; a frame of an 8-bit encoding unchanged."""
        if frame.pixels.dtype.itemsize == 1:
            return frame
        bits = used_bits(frame.pixels)
        self._most = sorted((*self._most, bits))[1:]
        return replace(frame, bit_depth=max(bits, self._most[0]))


def used_bits(pixels: RawPixels) -> int:
    """Return the smallest of the usual bit depths, 8 to 16, that holds every value."""
    needed = int(pixels.max()).bit_length()
    return next(bits for bits in _BIT_DEPTHS if bits >= needed)
