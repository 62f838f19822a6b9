# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's latest images, to look up the image of given poses.

An image is decoded when it is looked up; a video's images, which depend on those before, when they
arrive.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import CdrReader
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.image.topics import Reader
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.bridges.bridge import Bridge, OnDemand
from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.transports import message_class, topic_of, transport_of
from kp_pose_ros.settings import IMAGE_TRANSPORTS

_QUEUE = 2  # at least
_KEPT = 10  # images; the poses of an image arrive later, by the latency of the network


def declare_transport(node: Bridge) -> str:
    """Declare the parameter `image_transport`, as in the pose node; return its value.

    Raises:
        SettingsError: the value is none of the choices.
    """
    about = "Type of the image topic."
    return str(node.declare("image_transport", "raw", about, choices=IMAGE_TRANSPORTS))


class Pictures:
    """Subscribes to a camera's images while they are needed."""

    def __init__(
        self, node: Bridge, name: str, image_transport: str, min_width: MinWidth | None = None
    ) -> None:
        """Prepare; `want` subscribes.

        Args:
            node: the node that subscribes.
            name: the unresolved topic name of the raw images.
            image_transport: the value of that parameter.
            min_width: see `decode_compressed`.

        Raises:
            SettingsError: images of this transport cannot be read here.
        """
        transport = transport_of(node.resolve_topic_name(name), image_transport)
        self._topic = topic_of(transport, node, name)
        self._logger = node.get_logger()
        self._reader = Reader(transport)
        self._min_width = min_width
        self._is_video = transport.is_video
        # By stamp: a message's CDR bytes, or what is in them; None: they cannot be read.
        self._images: OrderedDict[int, Pixels | CameraImage | None] = OrderedDict()
        self._subscription = OnDemand(
            node,
            message_class(transport.type_name),
            self._topic,
            self._keep,
            # Best effort matches every publisher.
            QoSProfile(
                depth=max(_QUEUE, self._reader.queue), reliability=ReliabilityPolicy.BEST_EFFORT
            ),
            raw=not rcl.has_buffers(),
        )

    def want(self, is_wanted: bool) -> None:
        """Subscribe to the images, or unsubscribe."""
        if self._subscription.want(is_wanted) and not is_wanted:
            self._reader.skip()
            self._images.clear()

    def at(self, header: Header) -> Pixels | None:
        """Return the BGR picture with a header's stamp; None if it was not received."""
        stamp = nanoseconds(header.stamp)
        image = self._images.get(stamp)
        if isinstance(image, np.ndarray):
            image = self._images[stamp] = self._read(image)
        return None if image is None else image.frame.to_bgr()

    def _keep(self, message: Any) -> None:
        cdr = message if isinstance(message, bytes) else serialize_message(message)
        content = np.frombuffer(cdr, np.uint8)
        if self._is_video:
            if (image := self._read(content)) is not None:
                self._images[image.header.stamp] = image
        else:
            try:
                self._images[CdrReader(content).header().stamp] = content
            except FrameError as error:
                self._warn(error)
        if len(self._images) > _KEPT:
            self._images.popitem(last=False)

    def _read(self, content: Pixels) -> CameraImage | None:
        self._reader.put(content, is_gap=False)
        return self._reader.read(self._min_width, self._warn)[0]

    def _warn(self, error: FrameError) -> None:
        self._logger.warning(
            f"a message on '{self._topic}' was ignored: {error}", throttle_duration_sec=10.0
        )
