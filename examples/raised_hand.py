# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns the robot towards a person who raises a hand; without recent poses it stands still."""

import signal

from geometry_msgs.msg import TwistStamped
from gestures import raises_a_hand
from kp_pose_ros.msg import PoseArray, Skeleton
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.process import start_program

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MAX_AGE = 0.4  # seconds since the image was taken; 20 commands a second, so it stops within 0.5


class RaisedHand(Node):
    def __init__(self) -> None:
        super().__init__("raised_hand")
        self.latest = {Skeleton: Skeleton(), PoseArray: PoseArray()}
        self.create_subscription(Skeleton, "skeleton", self.keep, LATCHED)
        self.create_subscription(PoseArray, "poses", self.keep, 10)
        self.commands = self.create_publisher(TwistStamped, "cmd_vel", 10)
        self.create_timer(0.05, self.command)

    def keep(self, message: Skeleton | PoseArray) -> None:
        self.latest[type(message)] = message

    def raised_hand(self) -> float | None:
        """Return where someone raises a hand, -1 (left) to 1 (right); None if nobody does."""
        skeleton, seen = self.latest.values()
        age = self.get_clock().now().nanoseconds - nanoseconds(seen.header.stamp)
        is_known = seen.skeleton == skeleton.name and seen.image_width  # poses_3d has no image
        if is_known and abs(age) < MAX_AGE * 1e9:
            for person in seen.poses:
                position = 2 * person.bbox.center.position.x / seen.image_width - 1
                # In the image, and a number: NaN would be a speed that a base may not refuse.
                if abs(position) <= 1 and raises_a_hand(person, skeleton.keypoint_names):
                    return position
        return None

    def command(self) -> None:
        self.turn(-(self.raised_hand() or 0.0))

    def stop(self) -> None:
        self.turn(0.0)

    def turn(self, speed: float) -> None:  # radians a second, to the left
        command = TwistStamped()
        command.header.stamp, command.header.frame_id = self.get_clock().now().to_msg(), "base_link"
        command.twist.angular.z = speed
        self.commands.publish(command)


def drive(robot: RaisedHand) -> None:
    """Run the robot until Ctrl-C or SIGTERM, and stop it."""
    signals: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _: signals.append(number))
    executor = GuardedExecutor()  # a failing callback does not end it
    executor.add_node(robot)
    while not signals:
        executor.spin_once(0.1)
    robot.stop()
    robot.commands.wait_for_all_acked(Duration(seconds=0.5))  # else it may be lost
    executor.shutdown()


if __name__ == "__main__":
    start_program("raised_hand", __doc__)
    drive(RaisedHand())
