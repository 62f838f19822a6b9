# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the pose node inside of a planner's process: poses come as arrays, not as messages."""

import signal
import sys

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.pose_node import PoseNode


class Planner(Node):
    """Says ten times a second, if that changed, how many people there are."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.newest: Poses | None = None
        self.said = -1
        self.create_timer(0.1, self.plan)

    def keep(self, camera: str, poses: Poses, stamp: int, frame_id: str) -> None:
        """Run in the worker's thread, where the network waits: keep the poses, nothing else."""
        self.newest = poses  # one assignment needs no lock

    def plan(self) -> None:
        if self.newest is not None and len(self.newest) != self.said:
            self.said = len(self.newest)
            print(f"{self.said} people, scores {self.newest.scores.round(2).tolist()}", flush=True)


# rclpy's own handlers would end its context while the worker publishes.
rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
told: list[int] = []
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda number, _: told.append(number))
planner = Planner()
eyes = PoseNode("eyes", on_poses=planner.keep)
executor = GuardedExecutor()  # failing callbacks do not end it
executor.add_node(planner)
executor.add_node(eyes)
try:
    while not told:
        executor.spin_once(timeout_sec=0.1)
finally:
    executor.shutdown(1.0)
    eyes.close(timeout=1.0)
    rclpy.shutdown()
