# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From another thread into the executor: calls, and what coroutines there wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node


class Handover:
    """Has a node's executor make calls that any thread asks for, in their order."""

    def __init__(self, node: Node, group: CallbackGroup) -> None:
        """Prepare; the calls belong to the callback group `group` of `node`."""
        self._calls: deque[Callable[[], object]] = deque()
        self._closed = False
        self._lock = Lock()
        self._guard = node.create_guard_condition(self._make_calls, group)

    def call(self, function: Callable[[], object]) -> None:
        """Have `function` called in the executor; return at once."""
        with self._lock:
            if not self._closed:
                self._calls.append(function)
                self._guard.trigger()

    def close(self) -> None:
        """Forget calls from now on, since the node is about to be destroyed."""
        with self._lock:
            self._closed = True

    def _make_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()
