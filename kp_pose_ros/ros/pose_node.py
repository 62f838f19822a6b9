# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node: parameters, cameras, mailbox and worker, wired up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble's place of it
from rclpy.node import Node

from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.declare import declare_parameters, follow_changes
from kp_pose_ros.ros.logs import RosLogHandler
from kp_pose_ros.ros.mailbox import Mailbox
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.worker import Worker
from kp_pose_ros.timing import StageTimes

_WATCH_PERIOD = 1.0  # seconds


class PoseNode(Node):
    """Publishes the poses of the people in its cameras' images."""

    def __init__(self, on_failure: Callable[[BaseException], None], **node_arguments: Any) -> None:
        """Declare the parameters, subscribe and start the worker.

        Args:
            on_failure: called, in another thread, with the error that makes the node useless.
            node_arguments: those of rclpy's Node, such as namespace or parameter_overrides.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        super().__init__("kp_pose", **node_arguments)
        parameters = declare_parameters(self)
        self._log_handler = RosLogHandler(self.get_logger())
        self._log_handler.attach()
        self._mailbox: Mailbox[Any] = Mailbox(parameters.cameras)
        self.cameras = {
            name: Camera(self, name, parameters, self._mailbox) for name in parameters.cameras
        }
        self._worker = Worker(
            parameters, self._mailbox, self.cameras, self.get_logger(), on_failure
        )
        follow_changes(self, parameters, self._adopt)
        # By the machine's own clock: simulated time may stand still.
        self.create_timer(_WATCH_PERIOD, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._worker.start()

    @property
    def times(self) -> StageTimes:
        """How long the stages of the latest frames took."""
        return self._worker.times

    def close(self, timeout: float) -> bool:
        """Stop working; return whether the engine let go within `timeout` seconds."""
        self._mailbox.close()
        ended = self._worker.join(timeout)
        self._log_handler.detach()
        return ended

    def _watch(self) -> None:
        for camera in self.cameras.values():
            camera.watch()

    def _adopt(self, parameters: Parameters) -> None:
        self._worker.adopt(parameters)
        for camera in self.cameras.values():
            camera.always_on = parameters.always_on
