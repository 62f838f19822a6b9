# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that exist only while needed, so that the network need not run otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription


class OnDemand:
    """A subscription that `want` creates and destroys."""

    def __init__(
        self,
        node: Node,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
    ) -> None:
        """Prepare, with the arguments of `Node.create_subscription`."""
        self._node = node
        self._arguments = message_type, topic, callback, qos
        self._subscription: Subscription[Any] | None = None

    def want(self, is_wanted: bool) -> bool:
        """Subscribe or unsubscribe, unless already done; return whether this changed anything."""
        if is_wanted == (self._subscription is not None):
            return False
        if self._subscription is None:
            self._subscription = self._node.create_subscription(*self._arguments)
        else:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        return True
