# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's latest images, to look up the image of given poses.

An image is decoded when it is looked up; a video's images, which depend on those before, soon after
they arrive.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from std_msgs.msg import Header

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import CdrReader
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.image.topics import Reader
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.image_subscription import ImageSubscription
from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.transports import topic_of, transport_of
from kp_pose_ros.settings import IMAGE_TRANSPORTS

_KEPT = 10  # images; the poses of an image arrive later, by the latency of the network
_PERIOD = 0.1  # seconds between two looks for new packets of a video


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
        topic = topic_of(transport, node, name)
        node.expect_subscription(topic)
        self._node = node
        self._reader = Reader(transport)
        self._min_width = min_width
        self._is_video = transport.is_video
        # By stamp: a message's CDR bytes, or what is in them; None: they cannot be read.
        self._images: OrderedDict[int, Pixels | CameraImage | None] = OrderedDict()
        self._source = ImageSubscription(
            node,
            topic,
            type_name=transport.type_name,
            label=node.get_name(),
            qos="sensor_data",  # matches every publisher
            is_listening=lambda: True,
            queue=max(_KEPT, self._reader.queue),
        )
        if transport.is_video:
            node.create_steady_timer(_PERIOD, self.take)

    def want(self, is_wanted: bool) -> None:
        """Subscribe to the images, or unsubscribe."""
        if is_wanted:
            self._source.start()
            self._source.handle_events()
        elif self._source.current is not None:
            self._source.stop()
            self._reader.skip()
            self._images.clear()

    def at(self, header: Header) -> Pixels | None:
        """Return the BGR picture with a header's stamp; None if it was not received."""
        self.take()
        stamp = nanoseconds(header.stamp)
        image = self._images.get(stamp)
        if isinstance(image, np.ndarray):
            image = self._images[stamp] = self._read(image)
        return None if image is None else image.frame.to_bgr()

    def take(self) -> None:
        """Take the images that have arrived."""
        while (taken := self._source.take()) is not None:
            self._keep(taken[0])

    def _keep(self, content: Pixels) -> None:
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
        self._reader.put(content, self._source.is_gap)
        return self._reader.read(self._min_width, self._warn)[0]

    def _warn(self, error: FrameError) -> None:
        self._node.get_logger().warning(
            f"a message on '{self._source.topic}' was ignored: {error}", throttle_duration_sec=10.0
        )
