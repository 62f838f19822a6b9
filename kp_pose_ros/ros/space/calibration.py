# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The subscription to a camera's `camera_info`."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo

from kp_pose_ros.ros.qos import NEWEST, image_qos, publishers_of


class Calibration:
    """Receives camera_info; its callback runs in the executor.

    Attributes:
        topic: the resolved name of the topic.
        info: the newest message; None before the first. It stays when the subscription ends.
    """

    def __init__(self, node: Node, prefix: str, group: CallbackGroup | None = None) -> None:
        """Prepare; `start` subscribes.

        Args:
            node: the node that subscribes.
            prefix: the prefix of the topic's name.
            group: the callback group of the subscription; None: the node's default.
        """
        self._node = node
        self._name = f"{prefix}camera_info"
        self._group = group
        self._subscription: Subscription[Any] | None = None
        self._qos = NEWEST
        self.topic = node.resolve_topic_name(self._name)
        self.info: CameraInfo | None = None

    def start(self) -> None:
        """Subscribe, unless already subscribed."""
        if self._subscription is None:
            self._subscribe(self._wanted_qos())

    def stop(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None

    def watch(self) -> None:
        """Update the subscription; call at 1 Hz."""
        if self._subscription is not None and (wanted := self._wanted_qos()) != self._qos:
            self.stop()
            self._subscribe(wanted)

    def _wanted_qos(self) -> QoSProfile:
        """Return a QoS that matches the publishers: transient local if they are."""
        found = publishers_of(self._node, self._name, "sensor_msgs/msg/CameraInfo")
        return image_qos("auto", found)

    def _subscribe(self, qos: QoSProfile) -> None:
        self._qos = qos
        self._subscription = self._node.create_subscription(
            CameraInfo, self._name, self._on_info, qos, callback_group=self._group
        )

    def _on_info(self, message: CameraInfo) -> None:
        self.info = message
