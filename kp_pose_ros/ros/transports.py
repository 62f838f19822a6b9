# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of image topics of image_transport: their names, and readers of their messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Protocol

from rclpy.node import Node

from kp_pose_ros.errors import FrameError, SettingsError
from kp_pose_ros.image.cdr import VideoPacket, read_compressed_video, read_ffmpeg_packet
from kp_pose_ros.image.frame import BitDepth, Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage, read_compressed, read_raw
from kp_pose_ros.image.video import Picture, VideoStream

Fail = Callable[[FrameError], None]
Found = tuple[CameraImage | None, int]

_PACKETS = 100  # queue size; three seconds at 30 Hz, as an engine may need for its first image


class Reader(Protocol):
    """Reads the messages of one camera. Each is first passed to `put`, then skipped or read."""

    def put(self, content: Pixels, is_gap: bool) -> None:
        """Keep the CDR bytes of a message; `is_gap`: messages are missing before it."""

    def skip(self) -> int:
        """Drop the messages kept; return how many there were."""

    def read(self, content: Pixels, min_width: MinWidth, fail: Fail) -> Found:
        """Return the newest image, None if there is none, and how many messages were not used.

        Args:
            content: the first of the messages kept.
            min_width: see `decode_compressed`.
            fail: called with the error of each message that cannot be read.
        """


class StillReader:
    """Reads messages with one complete image each. See `Reader`."""

    def __init__(self, parse: Callable[[Pixels, MinWidth], CameraImage]) -> None:
        self._parse = parse
        self._bit_depth = BitDepth()

    def put(self, content: Pixels, is_gap: bool) -> None:
        """See `Reader`."""

    def skip(self) -> int:
        """See `Reader`."""
        return 1

    def read(self, content: Pixels, min_width: MinWidth, fail: Fail) -> Found:
        """See `Reader`."""
        try:
            image = self._parse(content, min_width)
            return replace(image, frame=self._bit_depth.of(image.frame)), 0
        except FrameError as error:
            fail(error)
            return None, 0


class VideoReader:
    """Reads a video stream. See `Reader`.

    A decoder cannot skip packets, so all packets are decoded, and all pictures but the newest are
    dropped. Where packets are missing (lost, or not taken while poses had no subscriber), it waits
    for the next key frame.
    """

    def __init__(self, parse: Callable[[Pixels], VideoPacket]) -> None:
        """Prepare to read messages with `parse`.

        Raises:
            SettingsError: PyAV is not installed.
        """
        if find_spec("av") is None:
            raise SettingsError(
                "the image_transports ffmpeg and foxglove need PyAV, which is not installed: "
                "install it with `pip install av`, or set image_transport to raw or compressed"
            )
        self._parse = parse
        self._stream = VideoStream()
        self._packets: list[tuple[Pixels, bool]] = []

    def put(self, content: Pixels, is_gap: bool) -> None:
        """See `Reader`."""
        self._packets.append((content, is_gap))

    def skip(self) -> int:
        """See `Reader`."""
        count = len(self._packets)
        self._packets.clear()
        self._stream.interrupt()
        return count

    def read(self, _: Pixels, min_width: MinWidth, fail: Fail) -> Found:
        """See `Reader`."""
        packets, self._packets = self._packets, []
        newest: Picture | None = None
        unused = len(packets)
        for content, is_gap in packets:
            if is_gap:
                self._stream.interrupt()
            try:
                newest = [newest, *self._stream.decode(self._parse(content))][-1]
            except FrameError as error:
                fail(error)
                unused -= 1
        if newest is None:
            return None, unused
        try:
            return CameraImage(newest.header, newest.frame()), unused - 1
        except FrameError as error:
            fail(error)
            return None, unused - 1


@dataclass(frozen=True, slots=True)
class Transport:
    """A kind of image topic.

    Attributes:
        type_name: the ROS name of its message type.
        suffix: the suffix of its topics after the raw image's name.
        reader: makes the reader of one camera; may raise SettingsError.
        queue: the queue size; usually 1, since older images are stale.
    """

    type_name: str
    suffix: str
    reader: Callable[[], Reader]
    queue: int = 1

    def topic(self, node: Node, name: str) -> str:
        """Return the topic's name from that of the raw image.

        As with image_transport, remapping `image` also remaps its compressed form. A name that
        already is one of this transport stays as it is, unresolved, since it would be remapped
        twice.
        """
        resolved = node.resolve_topic_name(name)
        return name if resolved.endswith(self.suffix) else resolved + self.suffix


# By image_transport's names of them.
TRANSPORTS = {
    "raw": Transport("sensor_msgs/msg/Image", "", partial(StillReader, read_raw)),
    "compressed": Transport(
        "sensor_msgs/msg/CompressedImage", "/compressed", partial(StillReader, read_compressed)
    ),
    "ffmpeg": Transport(
        "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
        "/ffmpeg",
        partial(VideoReader, read_ffmpeg_packet),
        _PACKETS,
    ),
    "foxglove": Transport(
        "foxglove_msgs/msg/CompressedVideo",
        "/foxglove",
        partial(VideoReader, read_compressed_video),
        _PACKETS,
    ),
}


def transport_of(topic: str, parameter: str) -> Transport:
    """Return the kind of an image topic, by the suffix of its name, else by the parameter.

    Args:
        topic: the resolved name of `image`.
        parameter: the value of the parameter image_transport.
    """
    named = (each for each in TRANSPORTS.values() if each.suffix and topic.endswith(each.suffix))
    return next(named, TRANSPORTS[parameter])
