# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An executor that survives failing callbacks, and a gate that keeps messages from it."""

from __future__ import annotations

import traceback
from pathlib import Path
from time import monotonic
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.executors import Executor, ShutdownException, TimeoutException
from rclpy.node import Node

from kp_pose_ros.errors import printable
from kp_pose_ros.ros.compat import get_logger

_REPEAT = 10.0  # seconds between two reports of the same kind of failure


class Gate(CallbackGroup):
    """A callback group that an executor serves only while its messages are wanted.

    Taking messages that nobody needs costs as much as using them.
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node
        self._wanted_by: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether the executor serves the group."""
        return bool(self._wanted_by)

    def want(self, name: str, is_wanted: bool) -> None:
        """Register or remove a user, by name; the gate is open while there is one. Any thread."""
        if is_wanted == (name in self._wanted_by):
            return
        opens = not self._wanted_by
        (self._wanted_by.add if is_wanted else self._wanted_by.discard)(name)
        executor = self._node.executor
        if opens and executor is not None:
            executor.wake()  # so that it checks again which entities it may take

    def can_execute(self, entity: Any) -> bool:
        """Return whether the executor may wait for the entity."""
        return self.is_open

    def beginning_execution(self, entity: Any) -> bool:
        """Return whether an entity that was found ready may still be taken."""
        return self.is_open

    def ending_execution(self, entity: Any) -> None:
        """Nothing is held while a callback runs."""


class GuardedExecutor(Executor):
    """Runs callbacks in the thread that spins, as rclpy's SingleThreadedExecutor does.

    An exception in a callback, in rclpy's own services or in reading a message leaves `spin` of
    rclpy's executors, and so ends the program: one `set_parameters` request with an undefined
    parameter type is enough. This executor logs and drops it. Exceptions that do not derive from
    `Exception`, such as KeyboardInterrupt, and failures outside of callbacks, such as a context
    that was shut down, are raised as usual.
    """

    def __init__(self, **executor_arguments: Any) -> None:
        """Make an executor; `executor_arguments` are those of rclpy's Executor."""
        super().__init__(**executor_arguments)
        self._reported: dict[tuple[str, type], float] = {}

    def spin(self) -> None:
        """Run callbacks until the executor or its context is shut down.

        rclpy's own calls a private method, not `spin_once`, in Lyrical and since the patches
        7.1.9 of Jazzy and 9.1.5 of Kilted.
        """
        while self.context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for one callback, at most `timeout_sec` seconds if given, and run it."""
        try:
            task, entity, node = self.wait_for_ready_callbacks(timeout_sec=timeout_sec)
        except (ShutdownException, TimeoutException):
            return
        task()
        error = task.exception()
        if error is not None:
            self._report(error, entity, node)

    def spin_once_until_future_complete(self, future: Any, timeout_sec: Any = None) -> None:
        """Wait for one callback and run it; `spin_until_future_complete` calls this in a loop."""
        self.spin_once(timeout_sec)  # the future wakes the executor

    _spin_once_until_future_complete = spin_once_until_future_complete  # Kilted's name

    def _report(self, error: Exception, entity: Any, node: Any) -> None:
        name = _name(entity)
        now, kind = monotonic(), (name, type(error))
        if now - self._reported.get(kind, -_REPEAT) < _REPEAT:
            return
        self._reported[kind] = now
        logger = node.get_logger() if node is not None else get_logger("kp_pose")
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "rclpy"
        logger.error(
            f"{name} raised {type(error).__name__} at {place}, ignored: {printable(error)}"
        )
        logger.debug("".join(traceback.format_list(frames)))


def _name(entity: Any) -> str:
    """Return the name for the log of an entity with a callback: a subscription, a timer, ..."""
    kind = type(entity).__name__.lower() if entity is not None else "task"
    topic = getattr(entity, "srv_name", None) or getattr(entity, "topic_name", None)
    return f"the callback of {kind} '{topic}'" if topic else f"the callback of a {kind}"
