# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of image topics of image_transport: their types, their names and what decodes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from kp_pose_ros.image.cdr import read_compressed_video, read_ffmpeg_packet
from kp_pose_ros.image.frame import BitDepth, Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage, read_compressed, read_raw
from kp_pose_ros.image.video import Picture, VideoStream


class Decoder(Protocol):
    """Decodes the messages of one topic."""

    def decode(self, message: Pixels, min_width: MinWidth | None) -> list[Picture]:
        """Return the pictures that a message completes.

        Args:
            message: its CDR bytes.
            min_width: see `decode_compressed`.

        Raises:
            FrameError: the message cannot be read.
        """

    def interrupt(self) -> None:
        """Prepare for a message before which others are missing."""

    def finish(self) -> list[Picture]:
        """Return the pictures still held back at the end of the topic; raises FrameError."""


class StillDecoder:
    """Decodes messages with one complete image each. See `Decoder`."""

    def __init__(self, read: Callable[[Pixels, MinWidth | None], CameraImage]) -> None:
        self._read = read
        self._bit_depth = BitDepth()

    def decode(self, message: Pixels, min_width: MinWidth | None) -> list[Picture]:
        """See `Decoder`."""
        image = self._read(message, min_width)
        image = replace(image, frame=self._bit_depth.of(image.frame))
        return [lambda: image]

    def interrupt(self) -> None:
        """See `Decoder`."""

    def finish(self) -> list[Picture]:
        """See `Decoder`."""
        return []


@dataclass(frozen=True, slots=True)
class Transport:
    """A kind of image topic.

    Attributes:
        type_name: the ROS name of its message type.
        suffix: the suffix of its topics after the raw image's name.
        decoder: makes the decoder of one topic.
        is_video: whether its messages depend on those before.
    """

    type_name: str
    suffix: str
    decoder: Callable[[], Decoder]
    is_video: bool = False


# By image_transport's names of them.
TRANSPORTS = {
    "raw": Transport("sensor_msgs/msg/Image", "", partial(StillDecoder, read_raw)),
    "compressed": Transport(
        "sensor_msgs/msg/CompressedImage", "/compressed", partial(StillDecoder, read_compressed)
    ),
    "ffmpeg": Transport(
        "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
        "/ffmpeg",
        partial(VideoStream, read_ffmpeg_packet),
        is_video=True,
    ),
    "foxglove": Transport(
        "foxglove_msgs/msg/CompressedVideo",
        "/foxglove",
        partial(VideoStream, read_compressed_video),
        is_video=True,
    ),
}
