# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages -> Frames, with every field checked; for the messages of any ROS library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import Header, read_compressed_image, read_image
from kp_pose_ros.image.frame import ENCODINGS, Frame, Pixels
from kp_pose_ros.image.jpeg import MinWidth, decode_compressed

# The format of a Bayer picture that image_transport compressed as it is (compressed_publisher.cpp:
# always as PNG and TIFF, before Humble as JPEG, too); else the name of another encoding follows.
_MOSAIC = re.compile(r"(bayer_\w+); *\w+ compressed *")


@dataclass(frozen=True, slots=True)
class CameraImage:
    """One image of a camera."""

    header: Header
    frame: Frame
    # the serialized sensor_msgs/Image that the frame is a view of; None if the picture came in
    # another form
    message: Pixels | None = None


class ImageMessage(Protocol):
    """sensor_msgs/Image of rclpy, rosbags or another library; data is any buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class ImageError(FrameError):
    """An image message that cannot be read.

    Attributes:
        field: the name of the field at fault.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def image_to_frame(image: ImageMessage) -> Frame:
    """Return the picture in an Image message, as a view of its bytes.

    Raises:
        ImageError: a field contradicts the others, or the encoding cannot be read.
    """
    layout = ENCODINGS.get(image.encoding)
    if layout is None:
        raise ImageError(
            "encoding",
            f"encoding is '{image.encoding}': set the camera to one of {', '.join(ENCODINGS)}",
        )
    for field in ("height", "width"):
        if getattr(image, field) == 0:
            raise ImageError(field, f"{field} is 0: expected at least 1")
    rows, half = divmod(image.height * layout.half_rows, 2)
    if half or image.height % layout.grid[0] or image.width % layout.grid[1]:
        raise ImageError(
            "height" if image.height % layout.grid[0] else "width",
            f"width and height are {image.width} and {image.height}: expected multiples of "
            f"{layout.grid[1]} and {layout.grid[0]} with encoding '{image.encoding}'",
        )
    pixels = pixels_of(image, rows, layout.channels, np.dtype(layout.dtype))
    try:
        return Frame(pixels, image.encoding)
    except FrameError as error:
        raise ImageError("width", str(error)) from error


def read_raw(message: Pixels, _: MinWidth | None = None) -> CameraImage:
    """Return the image in a serialized sensor_msgs/Image; raises FrameError."""
    image = read_image(message)
    return CameraImage(image.header, image_to_frame(image), message)


def read_compressed(message: Pixels, min_width: MinWidth | None = None) -> CameraImage:
    """Return the picture in a serialized sensor_msgs/CompressedImage; see `decode_compressed`.

    Raises:
        FrameError: the bytes are no such message.
        ImageError: the data is of no kind that is known, cut short or damaged.
    """
    image = read_compressed_image(message)
    found = _MOSAIC.fullmatch(image.format)
    mosaic = found[1] if found else None
    try:
        frame = decode_compressed(image.data.tobytes(), min_width, mosaic)
        return CameraImage(image.header, frame)
    except FrameError as error:
        data = f"{len(image.data)} bytes of data (format '{image.format}')"
        raise ImageError("data", f"{data} cannot be decoded: {error}") from error


def pixels_of(image: ImageMessage, rows: int, channels: int, dtype: np.dtype[Any]) -> Any:
    """Return a message's bytes as an array, a view whose row stride is the message's step.

    Args:
        image: the message.
        rows: of the array; the message's height, or more where planes follow each other.
        channels: elements a pixel; with 1 the array is (rows, width), else it has a third axis.
        dtype: type of an element; the array has it in the message's byte order.

    Raises:
        ImageError: a field contradicts the others.
    """
    dtype = dtype.newbyteorder(">" if image.is_bigendian else "<")
    pixel_bytes = channels * dtype.itemsize
    if image.step < image.width * pixel_bytes:
        raise ImageError(
            "step",
            f"step is {image.step}: expected at least {image.width * pixel_bytes}, the bytes of "
            f"{image.width} '{image.encoding}' pixels",
        )
    if len(image.data) < image.step * rows:
        raise ImageError(
            "data",
            f"data has {len(image.data)} bytes: expected {image.step * rows}, {rows} rows of step "
            f"{image.step}",
        )
    shape, strides = (rows, image.width), (image.step, pixel_bytes)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, dtype.itemsize)  # type: ignore[assignment]
    return np.ndarray(shape, dtype, image.data, 0, strides)
