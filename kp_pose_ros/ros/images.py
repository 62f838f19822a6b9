# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages -> Frames, checked; and pictures -> Image messages."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from kp_pose_ros.errors import FrameError
from kp_pose_ros.frame import ENCODINGS, Encoding, Frame, Pixels
from kp_pose_ros.ros.compressed import decode_compressed
from kp_pose_ros.ros.foreign import foreign_to_bgr


class ImageError(FrameError):
    """An image message that cannot be read.

    Attributes:
        field: the one at fault.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def image_to_frame(image: Image) -> Frame:
    """Return the picture in an Image message: a view of its bytes, if `Frame` has the encoding.

    Raises:
        ImageError: a field contradicts the others, or the encoding cannot be read.
    """
    for field in ("height", "width"):
        if getattr(image, field) == 0:
            raise ImageError(field, f"{field} is 0: expected at least 1")
    layout = ENCODINGS.get(image.encoding)
    if layout is not None:
        return _view(image, layout)
    _check_length(image, image.height)
    try:
        return Frame(foreign_to_bgr(image))
    except FrameError as error:
        known = ", ".join(ENCODINGS)
        raise ImageError(
            "encoding", f"encoding is '{image.encoding}': {error}; set the camera to one of {known}"
        ) from error


def compressed_to_frame(image: CompressedImage) -> Frame:
    """Return the picture in a JPEG or PNG CompressedImage message.

    Raises:
        ImageError: the data is of neither kind, cut short or damaged.
    """
    try:
        return Frame(decode_compressed(bytes(image.data)))
    except FrameError as error:
        found = f"{len(image.data)} bytes of data (format '{image.format}')"
        raise ImageError("data", f"{found} {error}") from error


class PictureMessage:
    """A bgr8 Image message whose memory serves every picture of one size."""

    def __init__(self) -> None:
        self.message = Image(encoding="bgr8")
        self._pixels: Pixels = np.empty((0, 0, 3), np.uint8)

    def fill(self, header: Header, picture: Pixels) -> Pixels:
        """Copy `picture`, (height, width, 3) BGR, into the message; return the copy, to draw on."""
        if self._pixels.shape != picture.shape:
            self._allocate(*picture.shape[:2])
        np.copyto(self._pixels, picture)
        self.message.header = header
        return self._pixels

    def _allocate(self, height: int, width: int) -> None:
        self.message.height, self.message.width, self.message.step = height, width, width * 3
        # Once a size: rclpy copies what is assigned, anything but an array of type B byte by byte.
        self.message.data = array.array("B", bytes(height * width * 3))
        self._pixels = np.frombuffer(self.message.data, np.uint8).reshape(height, width, 3)


def _view(image: Image, layout: Encoding) -> Frame:
    """Return the message's bytes as a frame whose row stride is the message's step."""
    rows, half = divmod(image.height * layout.half_rows, 2)
    if half or image.height % layout.grid[0] or image.width % layout.grid[1]:
        raise ImageError(
            "height" if image.height % layout.grid[0] else "width",
            f"width and height are {image.width} and {image.height}: expected multiples of "
            f"{layout.grid[1]} and {layout.grid[0]} with encoding '{image.encoding}'",
        )
    dtype = np.dtype(layout.dtype).newbyteorder(">" if image.is_bigendian else "<")
    pixel_bytes = layout.channels * dtype.itemsize
    if image.step < image.width * pixel_bytes:
        raise ImageError(
            "step",
            f"step is {image.step}: expected at least {image.width * pixel_bytes}, the bytes of "
            f"{image.width} '{image.encoding}' pixels",
        )
    _check_length(image, rows)
    shape, strides = (rows, image.width), (image.step, pixel_bytes)
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, dtype.itemsize)  # type: ignore[assignment]
    return Frame(np.ndarray(shape, dtype, image.data, 0, strides), image.encoding)


def _check_length(image: Image, rows: int) -> None:
    expected = image.step * rows
    if len(image.data) < expected:
        raise ImageError(
            "data",
            f"data has {len(image.data)} bytes: expected {expected}, {rows} rows of step "
            f"{image.step}",
        )
