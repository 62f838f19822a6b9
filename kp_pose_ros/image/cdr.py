# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of serialized messages with pictures, without copying the picture.

The format is CDR as ROS 2 writes it (OMG DDSI-RTPS 10.5, classic CDR): 4 bytes of encapsulation,
then the fields, each aligned to its own size relative to the first one; a string is its length
including the NUL, then its bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Pixels

_START = 4  # offset of the fields, after the encapsulation
_TEXT_LIMIT = 1024  # bytes; no valid frame_id or encoding is longer


@dataclass(frozen=True, slots=True)
class Header:
    """std_msgs/Header.

    Attributes:
        stamp: when the picture was taken, nanoseconds.
        frame_id: the camera's frame.
    """

    stamp: int
    frame_id: str


@dataclass(slots=True)
class ImageFields:
    """sensor_msgs/Image; data is a view of the message."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Pixels


@dataclass(slots=True)
class CompressedImageFields:
    """sensor_msgs/CompressedImage; data is a view of the message."""

    header: Header
    format: str
    data: Pixels


def read_image(message: Pixels) -> ImageFields:
    """Return the fields of a serialized sensor_msgs/Image.

    Raises:
        FrameError: the bytes are no such message.
    """
    reader = _Reader(message)
    header = reader.header()
    height, width = reader.numbers("II")
    encoding = reader.text()
    (is_bigendian,) = reader.numbers("B")
    (step,) = reader.numbers("I")
    return ImageFields(header, height, width, encoding, is_bigendian, step, reader.data())


def read_compressed_image(message: Pixels) -> CompressedImageFields:
    """Return the fields of a serialized sensor_msgs/CompressedImage.

    Raises:
        FrameError: the bytes are no such message.
    """
    reader = _Reader(message)
    return CompressedImageFields(reader.header(), reader.text(), reader.data())


@dataclass(slots=True)
class VideoPacket:
    """ffmpeg_image_transport_msgs/FFMPEGPacket or foxglove_msgs/CompressedVideo.

    Attributes:
        header: of the packet's picture.
        codec: the message's name of it, such as h264 or libx264;yuv420p;bgr8;bgr8.
        data: the packet, a view of the message; parameter sets come with key frames (H.264 and
            H.265: Annex B).
    """

    header: Header
    codec: str
    data: Pixels


def read_ffmpeg_packet(message: Pixels) -> VideoPacket:
    """Return the fields of a serialized ffmpeg_image_transport_msgs/FFMPEGPacket.

    Raises:
        FrameError: the bytes are no such message.
    """
    reader = _Reader(message)
    header = reader.header()
    reader.numbers("ii")  # width and height, which the stream contains as well
    codec = reader.text()
    reader.numbers("Q")  # the encoder's picture counter
    reader.numbers("BB")  # flags and byte order
    return VideoPacket(header, codec, reader.data())


def read_compressed_video(message: Pixels) -> VideoPacket:
    """Return the fields of a serialized foxglove_msgs/CompressedVideo.

    Raises:
        FrameError: the bytes are no such message.
    """
    reader = _Reader(message)
    header, data = reader.header(), reader.data()
    return VideoPacket(header, reader.text(), data)


class _Reader:
    def __init__(self, message: Pixels) -> None:
        if len(message) < _START or message[0] != 0 or message[1] > 1:
            raise FrameError(f"the {len(message)} bytes of the message are not CDR")
        self._message = message
        self._order = "<" if message[1] else ">"
        self._at = _START

    def header(self) -> Header:
        seconds, nanoseconds = self.numbers("iI")
        return Header(seconds * 10**9 + nanoseconds, self.text())

    def numbers(self, codes: str) -> tuple[int, ...]:
        """Read numbers of one size, given as `struct` format characters."""
        layout = struct.Struct(self._order + codes)
        size = layout.size // len(codes)
        start = self._at + (_START - self._at) % size
        self._at = self._end(start, layout.size)
        return layout.unpack(self._message[start : self._at].tobytes())

    def text(self) -> str:
        (length,) = self.numbers("I")
        if length > _TEXT_LIMIT:
            raise FrameError(f"a string in the message has {length} bytes: the message is damaged")
        start, self._at = self._at, self._end(self._at, length)
        return self._message[start : self._at].tobytes().rstrip(b"\0").decode(errors="replace")

    def data(self) -> Pixels:
        (length,) = self.numbers("I")
        start, self._at = self._at, self._end(self._at, length)
        return self._message[start : self._at]

    def _end(self, start: int, length: int) -> int:
        if start + length > len(self._message):
            raise FrameError(
                f"the message ends after {len(self._message)} bytes: expected at least "
                f"{start + length}"
            )
        return start + length
