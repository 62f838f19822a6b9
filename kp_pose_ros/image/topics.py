# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of image topics of image_transport: their types, their names and what decodes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from kp_pose_ros.errors import FrameError, SettingsError
from kp_pose_ros.image.cdr import read_compressed_video, read_ffmpeg_packet
from kp_pose_ros.image.frame import BitDepth, Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage, read_compressed, read_raw
from kp_pose_ros.image.video import Decoded, VideoStream


class StillDecoder:
    """Decodes messages with one complete image each, which `read` parses."""

    def __init__(self, read: Callable[[Pixels, MinWidth | None], CameraImage]) -> None:
        self._read = read
        self._bit_depth = BitDepth()

    def decode(self, message: Pixels, min_width: MinWidth | None = None) -> list[Decoded]:
        """Return the images that a message completes, given its CDR bytes; raises FrameError.

        `min_width` is that of `decode_compressed`.
        """
        image = self._read(message, min_width)
        image = replace(image, frame=self._bit_depth.of(image.frame))
        return [lambda: image]

    def interrupt(self) -> None:
        """Prepare for a message before which others are missing: nothing is needed."""

    def finish(self) -> list[Decoded]:
        """Return the images still held back at the end of the topic: none."""
        return []


Decoder = StillDecoder | VideoStream


@dataclass(frozen=True, slots=True)
class Transport:
    """A kind of image topic."""

    type_name: str  # the message type's name in ROS
    suffix: str  # the suffix of its topics after the raw image's name
    decoder: Callable[[], Decoder]  # makes the decoder of one topic
    is_video: bool = False  # whether its messages depend on those before


# By image_transport's names of them, `IMAGE_TRANSPORTS` in settings.
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

# The suffix of depth images: messages of the type CompressedImage, but no pictures.
COMPRESSED_DEPTH = "/compressedDepth"

_PACKETS = 100  # queue size; three seconds at 30 Hz, as an engine may need for its first image


class Reader:
    """Reads the newest image of a camera.

    A video decoder cannot skip packets, so all packets are decoded, and all pictures but the newest
    are dropped. Where packets are missing (lost, or not taken while poses had no subscriber), it
    waits for the next key frame.

    Attributes:
        queue: the size of the middleware's queue for them: 1, since older images are stale, except
            for video.
    """

    def __init__(self, transport: Transport) -> None:
        """Prepare to read the messages of a topic of this kind.

        Raises:
            SettingsError: PyAV is not installed.
        """
        if transport.is_video and find_spec("av") is None:
            raise SettingsError(
                "the image_transports ffmpeg and foxglove need PyAV, which is not installed: "
                "install it with `pip install av`, or read a raw or compressed image topic"
            )
        self.queue = _PACKETS if transport.is_video else 1
        self._decoder = transport.decoder()
        self._messages: list[tuple[Pixels, bool]] = []

    def put(self, content: Pixels, is_gap: bool) -> None:
        """Keep a message's CDR bytes until `skip` or `read`; `is_gap`: some are missing before."""
        self._messages.append((content, is_gap))

    def skip(self) -> int:
        """Drop the messages kept; return how many there were."""
        count = len(self._messages)
        self._messages.clear()
        self._decoder.interrupt()
        return count

    def read(
        self, min_width: MinWidth | None, fail: Callable[[FrameError], None]
    ) -> tuple[CameraImage | None, int]:
        """Return the newest image, None if there is none, and how many messages were not used.

        Args:
            min_width: see `decode_compressed`.
            fail: called with the error of each message that cannot be read.
        """
        messages, self._messages = self._messages, []
        newest: list[Decoded] = []
        unused = len(messages)
        for content, is_gap in messages:
            if is_gap:
                self._decoder.interrupt()
            try:
                newest = self._decoder.decode(content, min_width)[-1:] or newest
            except FrameError as error:
                fail(error)
                unused -= 1
        if not newest:
            return None, unused
        try:
            return newest[0](), unused - 1
        except FrameError as error:
            fail(error)
            return None, unused - 1
