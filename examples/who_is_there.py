# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prints a line for each person in an image: a minimal subscriber to poses."""

from contextlib import suppress

import rclpy
from kp_pose_ros.msg import PoseArray
from rclpy.executors import ExternalShutdownException

from kp_pose_ros.errors import show
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.process import check_command_line


def print_people(seen: PoseArray) -> None:
    """Print who is in an image."""
    if not seen.image_width:
        return  # poses_3d has no image
    for person in seen.poses:
        x = person.bbox.center.position.x / seen.image_width
        show(f"{person.class_name} {person.track_id}: {person.score:.0%} sure, {x:.0%} from left")


check_command_line("who_is_there", __doc__)
rclpy.init()
node = rclpy.create_node("who_is_there")
node.create_subscription(PoseArray, "poses", print_people, 10)
with suppress(KeyboardInterrupt, ExternalShutdownException):  # Ctrl-C
    rclpy.spin(node, GuardedExecutor())
