# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Asks the server wait_for_pose for a person in the middle of the image, and prints the result."""

import signal
from contextlib import suppress

import rclpy
from kp_pose_ros.action import WaitForPose
from rclpy.action import ActionClient
from rclpy.node import Node

from kp_pose_ros.errors import show
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.process import start_program


def ask(node: Node) -> None:
    """Send a goal, wait for its result, and print it."""
    client = ActionClient(node, WaitForPose, "wait_for_pose")
    client.wait_for_server()

    goal = WaitForPose.Goal(min_score=0.5, keypoints=["nose"], region=[0.25, 0.0, 0.75, 1.0])
    goal.hold.nanosec = 500_000_000  # for half a second without a break
    goal.timeout.sec = 60
    executor = GuardedExecutor()  # a failing callback does not end it
    executor.add_node(node)
    sent = client.send_goal_async(goal)
    executor.spin_until_future_complete(sent)
    if not sent.result().accepted:
        show("the server rejected the goal: it is about to end")
        return
    answer = sent.result().get_result_async()
    executor.spin_until_future_complete(answer)

    result = answer.result().result
    if result.error_code == WaitForPose.Result.NONE:
        stamp = result.poses.header.stamp
        print(f"{len(result.poses.poses)} in the middle at {stamp.sec}.{stamp.nanosec:09}")
    else:
        show(result.error_msg)


if __name__ == "__main__":
    start_program("ask_for_a_person", __doc__)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C
    with suppress(KeyboardInterrupt):
        ask(rclpy.create_node("ask_for_a_person"))
