# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the fields of serialized image messages, without copying the pixels.

The format is CDR as ROS 2 writes it (OMG DDSI-RTPS 10.5, classic CDR): 4 bytes of encapsulation,
then the fields, each aligned to its own size relative to the first one; a string is its length
including the NUL, then its bytes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Pixels

ByteOrder = Literal["<", ">"]  # little-endian, big-endian

_START = 4  # offset of the fields, after the encapsulation
_END_OF_TIME = 2**31 * 10**9  # nanoseconds; seconds have 31 bits and a sign
_TEXT_LIMIT = 1024  # bytes; no valid frame_id or encoding is longer


@dataclass(frozen=True, slots=True)
class Header:
    """std_msgs/Header."""

    stamp: int  # when the picture was taken, in nanoseconds
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
    """Return the fields of a serialized sensor_msgs/Image; raises FrameError, as all below."""
    reader = CdrReader(message)
    header = reader.header()
    height, width = reader.fields("II")
    encoding = reader.text()
    (is_bigendian,) = reader.fields("B")
    (step,) = reader.fields("I")
    return ImageFields(header, height, width, encoding, is_bigendian, step, reader.data())


def read_compressed_image(message: Pixels) -> CompressedImageFields:
    """Return the fields of a serialized sensor_msgs/CompressedImage."""
    reader = CdrReader(message)
    return CompressedImageFields(reader.header(), reader.text(), reader.data())


@dataclass(slots=True)
class VideoPacket:
    """ffmpeg_image_transport_msgs/FFMPEGPacket or foxglove_msgs/CompressedVideo."""

    header: Header  # of the packet's picture
    codec: str  # the message's name of it, such as h264 or libx264;yuv420p;bgr8;bgr8
    # the packet, a view of the message; parameter sets come with key frames
    # (H.264 and H.265: Annex B)
    data: Pixels


def read_ffmpeg_packet(message: Pixels) -> VideoPacket:
    """Return the fields of a serialized ffmpeg_image_transport_msgs/FFMPEGPacket."""
    reader = CdrReader(message)
    header = reader.header()
    reader.fields("ii")  # width and height, which the stream contains as well
    codec = reader.text()
    reader.fields("Q")  # the encoder's picture counter
    reader.fields("BB")  # flags and byte order
    return VideoPacket(header, codec, reader.data())


def read_compressed_video(message: Pixels) -> VideoPacket:
    """Return the fields of a serialized foxglove_msgs/CompressedVideo."""
    reader = CdrReader(message)
    header, data = reader.header(), reader.data()
    return VideoPacket(header, reader.text(), data)


class CdrReader:
    """Reads fields one after another.

    All of it raises FrameError where the bytes are no CDR or end too early.

    Attributes:
        order: of the message's numbers.
    """

    def __init__(self, message: Pixels) -> None:
        if len(message) < _START or message[0] != 0 or message[1] > 1:
            raise FrameError(f"the {len(message)} bytes of the message are not CDR")
        self.order: ByteOrder = "<" if message[1] else ">"
        self._message = message[_START:]
        self._content = self._message.data
        self._at = 0

    def header(self) -> Header:
        """Read a std_msgs/Header."""
        seconds, nanoseconds = self.fields("iI")
        stamp = seconds * 10**9 + nanoseconds
        if stamp >= _END_OF_TIME:  # it could not be written again
            raise FrameError(
                f"the stamp is {seconds} s and {nanoseconds} ns: expected less than 2**31 s"
            )
        return Header(stamp, self.text())

    def fields(self, codes: str) -> tuple[Any, ...]:
        """Read numbers, given as `struct` format characters, each aligned to its own size."""
        fields = layout(codes, self._at % 8, self.order)
        return fields.unpack_from(self._content, self.skip(fields.size))

    def text(self) -> str:
        """Read a string."""
        (length,) = self.fields("I")
        if length > _TEXT_LIMIT:
            raise FrameError(f"a string in the message has {length} bytes: the message is damaged")
        return str(self.block(length), "utf-8", "replace").rstrip("\0")

    def data(self) -> Pixels:
        """Read a sequence of bytes."""
        start = self.skip(*self.fields("I"))
        return self._message[start : self._at]

    def block(self, length: int, alignment: int = 1) -> memoryview:
        """Read bytes, which begin at a multiple of `alignment`."""
        self._at += -self._at % alignment
        start = self.skip(length)
        return self._content[start : self._at]

    def skip(self, length: int) -> int:
        """Pass over bytes; return where they begin, counted from the first field."""
        start = self._at
        self._at = end = start + length
        if end > len(self._content):
            raise FrameError(
                f"the message ends after {len(self._content) + _START} bytes: expected at least "
                f"{end + _START}"
            )
        return start


@lru_cache(maxsize=1024)
def layout(codes: str, start: int, order: str = "<") -> struct.Struct:
    """Return the padded layout of fields that begin at an offset of `start` modulo 8.

    Args:
        codes: `struct` format characters, with counts. Each number is aligned to its own size;
            bytes (`5s`) are not aligned.
        start: where the first field could begin.
        order: < for little-endian or > for big-endian.
    """
    padded, at = order, start
    for code in re.findall(r"\d*\D", codes):
        alignment = 1 if code[-1] == "s" else struct.calcsize(f"<{code[-1]}")
        padding = -at % alignment
        padded += f"{padding}x{code}"
        at += padding + struct.calcsize(f"<{code}")
    return struct.Struct(padded)
