# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The subscriber in the demo, as in a robot's planner; it reports what it receives."""

from __future__ import annotations

from typing import TextIO

import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.demo.report import DemoReport
from kp_pose_ros.demo.window import Window
from kp_pose_ros.image.message import image_to_frame
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.ros.messages import nanoseconds, vocabulary_from_msg
from kp_pose_ros.ros.process import Ending
from kp_pose_ros.ros.qos import LATCHED, NEWEST, RESULTS


class DemoReceiver:
    """Receives the node's messages, reports them and shows the pictures in a window.

    Attributes:
        report: None until the skeleton is known.
        lines: the file of JSON lines.
        received: the number of messages about images.
    """

    def __init__(
        self, folder: Folder, lines: TextIO, window: Window | None, ending: Ending
    ) -> None:
        self.report: DemoReport | None = None
        self.lines = lines
        self.received = 0
        self._folder = folder
        self._window = window
        self._ending = ending

    def subscribe(self, namespace: str) -> None:
        """Subscribe to the topics of the node in a namespace."""
        self._node = node = rclpy.create_node("planner", namespace=namespace)
        self._executor = SingleThreadedExecutor()  # an output that has gone ends the demo
        self._executor.add_node(node)
        node.create_subscription(SkeletonMsg, "skeleton", self._on_skeleton, LATCHED)
        node.create_subscription(PoseArray, "poses", self._on_poses, RESULTS)
        node.create_subscription(Image, "annotated", self._on_annotated, NEWEST)

    def spin_once(self) -> bool:
        """Wait a moment for a message; return False once the user has ended the demo."""
        self._executor.spin_once(0.02)
        if self._window is not None:
            self._window.update()
        closed = self._window is not None and self._window.closed
        return not (closed or self._ending.has_come())

    def _on_skeleton(self, message: SkeletonMsg) -> None:
        self.report = DemoReport(self._folder, self.lines, vocabulary_from_msg(message))

    def _on_poses(self, message: PoseArray) -> None:
        self.received += 1
        if self.report is not None:
            age = self._node.get_clock().now().nanoseconds - nanoseconds(message.header.stamp)
            self.report.add_poses(message, age * 1e-9)

    def _on_annotated(self, message: Image) -> None:
        self.received += 1
        picture = image_to_frame(message).to_bgr()
        if self.report is not None:
            stamp = nanoseconds(message.header.stamp)
            self.report.add_picture(message.header.frame_id, stamp, picture)
        if self._window is not None:
            self._window.show(picture)
