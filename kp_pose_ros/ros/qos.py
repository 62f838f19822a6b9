# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The QoS of the node's topics: its own, a camera's, and the user's overrides."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo

from kp_pose_ros.ros.compat import PrintableNode, declared_names, overrides
from kp_pose_ros.settings import Setting

# Reliable, because that matches both reliable and best-effort subscribers.
RESULTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10)
NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)

_FIXED = {"sensor_data": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}


def image_qos(
    parameter: str, publishers: Sequence[TopicEndpointInfo], queue: int = 1
) -> QoSProfile:
    """Return the profile of a subscription to a camera's topic.

    Args:
        parameter: the value of the parameter image_qos.
        publishers: those of the topic.
        queue: the queue size.

    Returns:
        With `auto`, reliable if there are publishers and all of them are, so that nothing is lost
        on the way. If all of them are also transient local, so is the subscription, and it gets the
        message that was sent before it began. Otherwise best effort and volatile, which matches
        every publisher.
    """
    profile = copy(NEWEST)
    profile.depth = queue
    offers = {each.qos_profile.reliability for each in publishers}
    is_reliable = offers == {ReliabilityPolicy.RELIABLE}
    profile.reliability = _FIXED.get(
        parameter, ReliabilityPolicy.RELIABLE if is_reliable else ReliabilityPolicy.BEST_EFFORT
    )
    latched = {each.qos_profile.durability for each in publishers}
    if parameter == "auto" and is_reliable and latched == {DurabilityPolicy.TRANSIENT_LOCAL}:
        profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def publishers_of(node: Node, topic: str, type_name: str) -> list[TopicEndpointInfo]:
    """Return the publishers of one type on a topic; `topic` is unresolved, as rclpy expects."""
    found = node.get_publishers_info_by_topic(topic)
    return [each for each in found if each.topic_type == type_name]


_OVERRIDES = "qos_overrides."
_DURATION = Setting(0, "Nanoseconds.", limits=(0, 2**63 - 1))


def _one_of(*choices: str) -> Setting:
    return Setting(choices[0], "", choices=(*choices, "system_default"))


# The policies that may be overridden, with the values that rclpy accepts.
_POLICIES = {
    "reliability": _one_of("reliable", "best_effort"),
    "durability": _one_of("volatile", "transient_local"),
    "history": _one_of("keep_last", "keep_all"),
    "depth": Setting(1, "", limits=(1, 10_000)),
    "liveliness": _one_of("automatic", "manual_by_topic"),
    "deadline": _DURATION,
    "lifespan": _DURATION,
    "liveliness_lease_duration": _DURATION,
}


class OverridableQos(PrintableNode):
    """A node whose user can override the QoS of each topic, as with C++ nodes.

    An example is `qos_overrides./poses.publisher.depth: 1` in a parameter file. Only given policies
    become parameters: the code chooses all others, and may follow the publishers' QoS.
    """

    def __init__(self, name: str, **node_arguments: Any) -> None:
        """Create a node; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: an override has a value that cannot be used.
        """
        super().__init__(name, **node_arguments)
        for override, given in overrides(self).items():
            policy = override.rpartition(".")[2]
            if override.startswith(_OVERRIDES) and policy in _POLICIES:
                _POLICIES[policy].check(override, given.value)

    def create_publisher(self, msg_type: Any, topic: str, qos_profile: Any, **options: Any) -> Any:
        """See rclpy's Node."""
        qos = self._overridden("publisher", topic, qos_profile)
        return super().create_publisher(msg_type, topic, **qos, **options)

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Any, qos_profile: Any, **options: Any
    ) -> Any:
        """See rclpy's Node."""
        qos = self._overridden("subscription", topic, qos_profile)
        return super().create_subscription(msg_type, topic, callback, **qos, **options)

    def unused_overrides(self) -> list[str]:
        """Return the overrides that no publisher or subscription has used so far, by name."""
        given = {name for name in overrides(self) if name.startswith(_OVERRIDES)}
        return sorted(given - declared_names(self))

    def _overridden(self, entity: str, topic: str, qos: Any) -> dict[str, Any]:
        prefix = f"{_OVERRIDES}{self.resolve_topic_name(topic)}.{entity}."
        kinds = [
            QoSPolicyKind[policy.upper()]
            for policy in _POLICIES
            if prefix + policy in overrides(self)
        ]
        # A copy, because rclpy writes the overrides into the profile.
        return {"qos_profile": copy(qos), "qos_overriding_options": QoSOverridingOptions(kinds)}
