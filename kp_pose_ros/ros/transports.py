# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's messages by the kind of its topic: which kind it is, and the newest image in them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from rclpy.node import Node

from kp_pose_ros.errors import FrameError, SettingsError
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.image.topics import TRANSPORTS, Transport
from kp_pose_ros.image.video import Picture

_PACKETS = 100  # queue size; three seconds at 30 Hz, as an engine may need for its first image


class Reader:
    """Reads the messages of one camera.

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
                "install it with `pip install av`, or set image_transport to raw or compressed"
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
        self, min_width: MinWidth, fail: Callable[[FrameError], None]
    ) -> tuple[CameraImage | None, int]:
        """Return the newest image, None if there is none, and how many messages were not used.

        Args:
            min_width: see `decode_compressed`.
            fail: called with the error of each message that cannot be read.
        """
        messages, self._messages = self._messages, []
        newest: list[Picture] = []
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


def topic_of(transport: Transport, node: Node, name: str) -> str:
    """Return a topic's name from that of the raw image.

    As with image_transport, remapping `image` also remaps its compressed form. A name that already
    is one of this transport stays as it is, unresolved, since it would be remapped twice.
    """
    resolved = node.resolve_topic_name(name)
    return name if resolved.endswith(transport.suffix) else resolved + transport.suffix


def transport_of(topic: str, parameter: str) -> Transport:
    """Return the kind of an image topic, by the suffix of its name, else by the parameter.

    Args:
        topic: the resolved name of `image`.
        parameter: the value of the parameter image_transport.
    """
    named = (each for each in TRANSPORTS.values() if each.suffix and topic.endswith(each.suffix))
    return next(named, TRANSPORTS[parameter])
