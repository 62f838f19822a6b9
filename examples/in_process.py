# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the pose node inside a planner's process, which gets poses as arrays, not as messages."""

import signal

import rclpy
from rclpy.node import Node

from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.pose_node import PoseNode
from kp_pose_ros.ros.process import start_program


class Planner(Node):
    """Prints how many people there are, up to ten times a second, whenever that changes."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.newest: Poses | None = None
        self.shown = -1
        self.create_timer(0.1, self.plan)

    def keep(self, camera: str, poses: Poses, stamp: int, frame_id: str) -> None:
        """Keep the poses; this blocks the worker's thread, so do nothing else here."""
        self.newest = poses  # one assignment needs no lock

    def plan(self) -> None:
        if self.newest is not None and len(self.newest) != self.shown:
            self.shown = len(self.newest)
            print(f"{self.shown} people, scores {self.newest.scores.round(2).tolist()}", flush=True)


start_program("in_process", __doc__)
signals: list[int] = []
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda number, _: signals.append(number))
planner = Planner()
pose_node = PoseNode("eyes", on_poses=planner.keep)
executor = GuardedExecutor()  # failing callbacks do not end it
executor.add_node(planner)
executor.add_node(pose_node)
try:
    while not signals:
        executor.spin_once(timeout_sec=0.1)
finally:
    executor.shutdown(1.0)
    pose_node.close(timeout=1.0)
    rclpy.shutdown()
