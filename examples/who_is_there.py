# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prints a line for each person in an image: a minimal subscriber to poses."""

import signal
from contextlib import suppress

import rclpy
from kp_pose_ros.msg import PoseArray

from kp_pose_ros.errors import show
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.process import start_program


def print_people(seen: PoseArray) -> None:
    """Print who is in an image."""
    if not seen.image_width:
        return  # poses_3d has no image
    for person in seen.poses:
        x = person.bbox.center.position.x / seen.image_width
        show(f"{person.class_name} {person.track_id}: {person.score:.0%} sure, {x:.0%} from left")


start_program("who_is_there", __doc__)
signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C
node = rclpy.create_node("who_is_there")
node.create_subscription(PoseArray, "poses", print_people, 10)
executor = GuardedExecutor()
executor.add_node(node)
with suppress(KeyboardInterrupt):
    while True:
        executor.spin_once(0.1)  # a signal does not interrupt a longer wait
