# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Follows the nearest person at 1.2 m with the action follow_target; stops when they are lost.

It commands a geometry_msgs/Twist, and assumes a camera that looks forward from the robot's centre.
With `--ros-args -p activity:=raised_hand` it waits for a person who raises a hand.
"""

import math

from geometry_msgs.msg import PoseStamped, Twist
from kp_pose_ros.action import FollowTarget
from raised_hand import MAX_AGE, drive
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.process import start_program

DISTANCE = 1.2  # metres to keep
TURN, DRIVE = 1.5, 0.8  # speed per radian and per metre of error, 1 / s
MAX_TURN, MAX_SPEED = 1.0, 0.6  # radians / s, metres / s
AHEAD = 0.5  # radians; it only turns towards a person farther to the side
PERIOD = 0.05  # seconds between two commands
SILENCE = 3.0  # seconds without feedback before it asks again: the server may have been killed


class FollowMe(Node):
    def __init__(self) -> None:
        super().__init__("follow_me")
        activity = self.declare_parameter("activity", "").value
        select = FollowTarget.Goal.ACTIVITY if activity else FollowTarget.Goal.NEAREST
        self.goal = FollowTarget.Goal(select=select, activity=activity)
        self.following = self.target = None
        self.wait = 0.0  # seconds until it asks
        self.client = ActionClient(self, FollowTarget, "follow_target")
        self.create_subscription(PoseStamped, "target", self.keep, 1)
        self.commands = self.create_publisher(Twist, "cmd_vel", 10)
        self.create_timer(PERIOD, self.command)

    def keep(self, target: PoseStamped) -> None:
        position = target.pose.position
        if math.isfinite(position.x) and math.isfinite(position.z):  # NaN would be full speed
            self.target = target

    def ask(self) -> None:
        """Send a goal to follow someone, unless one is active."""
        self.wait -= PERIOD
        if self.wait <= 0 and self.client.server_is_ready():
            self.on_feedback()
            self.following = None
            asked = self.client.send_goal_async(self.goal, feedback_callback=self.on_feedback)
            asked.add_done_callback(self.on_accepted)

    def on_feedback(self, _: object = None) -> None:
        self.wait = SILENCE  # longer than the server itself waits for images

    def on_accepted(self, answer: Future) -> None:
        goal = answer.result()
        if goal.accepted:  # else the server is about to end; it asks again after SILENCE
            self.following = goal
            goal.get_result_async().add_done_callback(lambda answer: self.on_end(goal, answer))

    def on_end(self, goal: ClientGoalHandle, answer: Future) -> None:
        result = answer.result().result
        if result.error_msg:
            self.get_logger().info(f"stopped: {result.error_msg}")
        if goal is self.following:  # not one that a new goal has replaced
            self.following = None
            self.wait = math.inf if result.error_code == result.INVALID_GOAL else 0.0

    def command(self) -> None:
        self.ask()
        command = Twist()
        if self.target is not None:
            age = self.get_clock().now().nanoseconds - nanoseconds(self.target.header.stamp)
            if abs(age) < MAX_AGE * 1e9:
                person = self.target.pose.position  # x right, z forward: the camera's optical frame
                bearing, distance = math.atan2(-person.x, person.z), math.hypot(person.x, person.z)
                turn = TURN * bearing
                command.angular.z = max(-MAX_TURN, min(turn, MAX_TURN))
                if abs(bearing) < AHEAD:
                    command.linear.x = max(0.0, min(DRIVE * (distance - DISTANCE), MAX_SPEED))
        self.commands.publish(command)

    def stop(self) -> None:
        self.commands.publish(Twist())
        if self.following is not None:
            self.following.cancel_goal_async()  # a goal outlives its client


if __name__ == "__main__":
    start_program("follow_me", __doc__)
    drive(FollowMe())
