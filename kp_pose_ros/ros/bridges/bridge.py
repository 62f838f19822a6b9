# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the nodes beside the pose node share: their parameters, and subscriptions on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from kp_pose_ros.ros.qos import OverridableQos
from kp_pose_ros.settings import Setting, Value


class Bridge(OverridableQos):
    """A node that works on the topics of the pose node."""

    def declare(
        self,
        name: str,
        default: Value,
        about: str,
        limits: tuple[float, float] | None = None,
        choices: tuple[str, ...] = (),
    ) -> Any:
        """Declare a parameter that cannot change while the node runs; return its value.

        Raises:
            SettingsError: the value has another type than the default, or is outside the limits
                or choices.
        """
        rule = Setting(default, about, limits, choices)
        # Dynamically typed, so that the rule can report a wrong type in a clear sentence.
        descriptor = ParameterDescriptor(description=about, read_only=True, dynamic_typing=True)
        initial = list(default) if isinstance(default, tuple) else default
        given: Any = self.declare_parameter(name, initial, descriptor).value
        return rule.check(name, [] if given is None else given)  # `[]` has no type in ROS

    def ready(self, work: str) -> None:
        """Log what the node does, and which parameters have no effect; call it once, at the end."""
        self.warn_of_unknown_parameters()
        self.warn_of_unused_overrides()
        self.get_logger().info(f"ready: {work}")


class OnDemand:
    """A subscription that `want` creates and destroys, so that the network need not always run."""

    def __init__(
        self,
        node: Bridge,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        *,
        raw: bool = False,
    ) -> None:
        """Take the arguments of `Node.create_subscription`; `want` subscribes."""
        self._node = node
        self._arguments = message_type, topic, callback, qos
        self._raw = raw
        self._subscription: Subscription[Any] | None = None
        node.expect_subscription(topic)

    def want(self, is_wanted: bool) -> bool:
        """Subscribe or unsubscribe, unless already done; return whether this changed anything."""
        if is_wanted == (self._subscription is not None):
            return False
        if self._subscription is None:
            self._subscription = self._node.create_subscription(*self._arguments, raw=self._raw)
        else:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        return True
