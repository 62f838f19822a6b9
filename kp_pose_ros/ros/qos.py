# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The QoS of the node's topics: its own, a camera's, and the user's overrides."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSPolicyEnum,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from kp_pose_ros.ros.compat import PrintableNode, declared_names, overrides
from kp_pose_ros.settings import Setting

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo  # Lyrical: rclpy.endpoint_info

# Reliable, because that matches both reliable and best-effort subscribers.
RESULTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10)
NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# Requests that may wait for a server: of a burst, the default depth would keep 10.
REQUESTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200)

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


def _one_of(policy: type[QoSPolicyEnum]) -> Setting:
    """Return a setting of the names of a policy's values, which depend on the distribution."""
    choices = tuple(each for each in policy.short_keys() if each != "unknown")
    return Setting(choices[0], "", choices=choices)


# The policies that may be overridden, with the values that rclpy accepts.
_POLICIES = {
    "reliability": _one_of(ReliabilityPolicy),
    "durability": _one_of(DurabilityPolicy),
    "history": _one_of(HistoryPolicy),
    "depth": Setting(1, "", limits=(1, 10_000)),
    "liveliness": _one_of(LivelinessPolicy),
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
        self._expected: set[str] = set()  # beginnings of overrides that will be used later
        self._named: set[str] = set()  # unused overrides that the log has named
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

    def expect_subscription(self, topic: str) -> None:
        """Announce a subscription that may be created later: its overrides are not unused."""
        self._expected.add(self._prefix("subscription", topic))

    def unused_overrides(self) -> list[str]:
        """Return the overrides of which no publisher or subscription is known, by name."""
        given = {name for name in overrides(self) if name.startswith(_OVERRIDES)}
        later = {prefix + policy for prefix in self._expected for policy in _POLICIES}
        return sorted(given - declared_names(self) - later)

    def warn_of_unused_overrides(self) -> None:
        """Warn, once each, of overrides without effect; call it when all topics are known."""
        for name in self.unused_overrides():
            if name not in self._named:
                self._named.add(name)
                self.get_logger().warning(
                    f"parameter '{name}' has no effect: expected the full name of a topic of this "
                    "node, 'publisher' or 'subscription', and a QoS policy, such as "
                    "'qos_overrides./poses.publisher.depth'"
                )

    def warn_of_unknown_parameters(self, names: Iterable[str] = ()) -> None:
        """Warn of given parameters that do not exist, most likely misspelled.

        This is not an error, because a file may hold the parameters of several nodes under `/**`.

        Args:
            names: parameters that are not declared yet.
        """
        known = {*names, *declared_names(self)}
        unknown = []
        for name in sorted({*overrides(self)} - known):
            if not name.startswith(_OVERRIDES):
                similar = difflib.get_close_matches(name, known, n=1)
                hint = f" (did you mean '{similar[0]}'?)" if similar else ""
                unknown.append(f"'{name}'{hint}")
        if unknown:
            self.get_logger().warning(
                f"parameters that are unknown, and have no effect: {', '.join(unknown)}"
            )

    def _prefix(self, entity: str, topic: str) -> str:
        return f"{_OVERRIDES}{self.resolve_topic_name(topic)}.{entity}."

    def _overridden(self, entity: str, topic: str, qos: Any) -> dict[str, Any]:
        prefix = self._prefix(entity, topic)
        kinds = [
            QoSPolicyKind[policy.upper()]
            for policy in _POLICIES
            if prefix + policy in overrides(self)
        ]
        # A copy, because rclpy writes the overrides into the profile.
        return {"qos_profile": copy(qos), "qos_overriding_options": QoSOverridingOptions(kinds)}
