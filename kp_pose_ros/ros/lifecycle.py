# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A managed node whose transitions may take minutes without blocking its executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any, NoReturn

from lifecycle_msgs.msg import Transition
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, TransitionCallbackReturn
from rclpy.node import Node

from kp_pose_ros.ros.compat import serve_change_state, state_machine
from kp_pose_ros.ros.qos import OverridableQos

_SUCCESS = TransitionCallbackReturn.SUCCESS.to_label()
_ERROR = TransitionCallbackReturn.ERROR.to_label()


class ManagedNode(LifecycleNodeMixin, OverridableQos):
    """A lifecycle node with coroutines for transitions.

    rclpy's own transitions are plain functions, which block a single-threaded executor, and the
    program that this node is composed into may have no other. So a coroutine serves `change_state`;
    it can await other threads in any executor. States, services and events are rclpy's, as a
    lifecycle manager expects them.

    A subclass overrides the coroutines `configure`, `activate`, `deactivate` and `cleanup`. The
    last one also follows an error in one of them, which leads to the state unconfigured.
    """

    def __init__(self, name: str, **node_arguments: Any) -> None:
        """Create a node in the state unconfigured; `node_arguments` are those of rclpy's Node."""
        OverridableQos.__init__(self, name, **node_arguments)
        # For callbacks that await, so that others can run meanwhile.
        self.waiting_group = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self.waiting_group)
        serve_change_state(self, self._on_change_state)
        self._states = state_machine(self)
        self._lock = Lock()  # an executor with several threads serves requests side by side
        self._steps: dict[int, Callable[[], Awaitable[None]]] = {
            Transition.TRANSITION_CONFIGURE: self.configure,
            Transition.TRANSITION_ACTIVATE: self.activate,
            Transition.TRANSITION_DEACTIVATE: self.deactivate,
            Transition.TRANSITION_CLEANUP: self.cleanup,
            Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: self.cleanup,
            Transition.TRANSITION_INACTIVE_SHUTDOWN: self.cleanup,
            Transition.TRANSITION_ACTIVE_SHUTDOWN: self.cleanup,
        }

    @property
    def state(self) -> str:
        """The state's label, such as `inactive` or `configuring`."""
        label: str = self._states.current_state[1]
        return label

    async def change_state(self, transition: int) -> bool:
        """Make a transition; return whether it succeeded. Await it in the node's executor.

        Args:
            transition: a number of lifecycle_msgs/Transition, such as TRANSITION_CONFIGURE.
        """
        with self._lock:
            possible = self._possible()
            if transition in possible.values():
                self._states.trigger_transition_by_id(transition, True)
        if transition not in possible.values():
            names = ", ".join(f"{number} ({name})" for name, number in possible.items())
            self.get_logger().warning(
                f"transition {transition} is refused in state '{self.state}': expected "
                + (f"one of {names}" if names else "none before this state ends")
            )
            return False
        try:
            await self._steps[transition]()
        except Exception as error:
            self._states.trigger_transition_by_label(_ERROR, True)
            self.report(error)
            await self.cleanup()
            self._states.trigger_transition_by_label(_SUCCESS, True)
            return False
        self._states.trigger_transition_by_label(_SUCCESS, True)
        return True

    async def configure(self) -> None:
        """Allocate what is needed to work."""

    async def activate(self) -> None:
        """Start working."""

    async def deactivate(self) -> None:
        """Stop working."""

    async def cleanup(self) -> None:
        """Stop working and free what `configure` allocated, from any state."""

    def report(self, error: Exception) -> None:
        """Log why a transition failed."""
        self.get_logger().error(str(error))

    def trigger_configure(self) -> NoReturn:
        """Refuse: rclpy's functions of this kind cannot wait; await `change_state`.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a transition of this node may wait: await change_state() instead")

    trigger_activate = trigger_deactivate = trigger_cleanup = trigger_configure
    trigger_shutdown = trigger_configure

    def _possible(self) -> dict[str, int]:
        """Return the transitions that are possible now, by label."""
        return {
            label: number
            for number, label, *_ in self._states.available_transitions
            if number in self._steps
        }

    async def _on_change_state(self, request: Any, response: Any) -> Any:
        wanted = request.transition
        # As in rclpy and rclcpp: the label takes precedence, if there is one.
        number = self._possible().get(wanted.label, -1) if wanted.label else wanted.id
        response.success = await self.change_state(number)
        return response


class Handover:
    """Makes calls for other threads in a node's executor, in their order."""

    def __init__(self, node: Node) -> None:
        """Prepare to make calls in the executor of `node`."""
        self._calls: deque[Callable[[], object]] = deque()
        self._closed = False
        self._lock = Lock()
        # A group of its own keeps the order where an executor has several threads.
        group = MutuallyExclusiveCallbackGroup()
        self._guard = node.create_guard_condition(self._make_calls, group)

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` in the executor; return at once."""
        with self._lock:
            if not self._closed:
                self._calls.append(function)
                self._guard.trigger()

    def close(self) -> None:
        """Ignore calls from now on, since the node is about to be destroyed."""
        with self._lock:
            self._closed = True

    def _make_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()
