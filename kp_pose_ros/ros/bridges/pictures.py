# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's latest images, to look up the image of given poses."""

from __future__ import annotations

from collections import OrderedDict

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.message import image_to_frame
from kp_pose_ros.ros.bridges.bridge import Bridge, OnDemand
from kp_pose_ros.ros.messages import nanoseconds

_IMAGES = QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT)
_KEPT = 10  # images; the poses of an image arrive later, by the latency of the network


class Pictures:
    """Subscribes to raw images while they are needed."""

    def __init__(self, node: Bridge, topic: str) -> None:
        """Prepare; `want` subscribes."""
        self._images: OrderedDict[int, Image] = OrderedDict()  # by stamp
        self._subscription = OnDemand(node, Image, topic, self._keep, _IMAGES)

    def want(self, is_wanted: bool) -> None:
        """Subscribe to the images, or unsubscribe."""
        self._subscription.want(is_wanted)
        if not is_wanted:
            self._images.clear()

    def at(self, header: Header) -> Pixels | None:
        """Return the BGR picture with a header's stamp; None if it was not received.

        Raises:
            FrameError: the image cannot be read.
        """
        image = self._images.get(nanoseconds(header.stamp))
        return None if image is None else image_to_frame(image).to_bgr()

    def _keep(self, image: Image) -> None:
        self._images[nanoseconds(image.header.stamp)] = image
        if len(self._images) > _KEPT:
            self._images.popitem(last=False)
