# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Differences between the distributions' rclpy, and uses of its private attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.node import Node

try:
    from rclpy.event_handler import (
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble's name for it
    from rclpy.qos_event import (
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

__all__ = [
    "SubscriptionEventCallbacks",
    "UnsupportedEventTypeError",
    "declared_names",
    "overrides",
    "serve_change_state",
    "state_machine",
]


def declared_names(node: Node) -> set[str]:
    """Return the names of the parameters that are declared on a node."""
    return set(node._parameters)


def overrides(node: Node) -> Mapping[str, Any]:
    """Return the parameters that a node was started with, declared or not, by name."""
    return node._parameter_overrides


def state_machine(node: LifecycleNodeMixin) -> Any:
    """Return a lifecycle node's state machine: rclpy's own transitions cannot await anything."""
    return node._state_machine


def serve_change_state(node: LifecycleNodeMixin, callback: Callable[[Any, Any], Any]) -> None:
    """Have `callback`, which may be a coroutine, serve a lifecycle node's change_state."""
    node._service_change_state.callback = callback
