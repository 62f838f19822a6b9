# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Differences between the distributions' rclpy, and uses of its private attributes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from rclpy import node
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # where Humble has it
from rclpy.impl import rcutils_logger
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNodeMixin
from rclpy.timer import Timer

from kp_pose_ros.errors import printable_lines

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
    "PrintableNode",
    "SubscriptionEventCallbacks",
    "UnsupportedEventTypeError",
    "declared_names",
    "get_logger",
    "overrides",
    "serve_change_state",
    "state_machine",
]


class PrintableLogger(RcutilsLogger):
    """A logger that escapes unprintable text in its lines."""

    def log(self, message: Any, severity: Any, *name: Any, **filters: Any) -> Any:
        """Log a message; all methods of rclpy's loggers call this one.

        A name may come as a third argument, which Humble and Jazzy lack.
        """
        return super().log(printable_lines(message), severity, *name, **filters)


# rclpy identifies the line of code that logs by the innermost file that is not in this list.
rcutils_logger._internal_callers.append(os.path.realpath(__file__))


@cache  # since throttling is kept in the logger
def get_logger(name: str) -> PrintableLogger:
    """Return a logger whose lines are printable."""
    return PrintableLogger(name)


class PrintableNode(node.Node):
    """A node whose log lines are printable, whatever text they contain."""

    def create_steady_timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Return a timer by the steady clock, because simulated time may stand still."""
        return self.create_timer(seconds, callback, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def get_logger(self) -> PrintableLogger:
        """Return the node's logger."""
        return get_logger(super().get_logger().name)


def declared_names(node: node.Node) -> set[str]:
    """Return the names of the parameters that are declared on a node."""
    return set(node._parameters)


def overrides(node: node.Node) -> Mapping[str, Any]:
    """Return the parameters that a node was started with, declared or not, by name."""
    return node._parameter_overrides


def state_machine(node: LifecycleNodeMixin) -> Any:
    """Return a lifecycle node's state machine: rclpy's own transitions cannot await anything."""
    return node._state_machine


def serve_change_state(node: LifecycleNodeMixin, callback: Callable[[Any, Any], Any]) -> None:
    """Let `callback`, which may be a coroutine, serve a lifecycle node's change_state."""
    node._service_change_state.callback = callback
