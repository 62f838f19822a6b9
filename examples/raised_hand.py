# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns the robot towards whoever raises a hand; without fresh poses it stands still."""

import rclpy
from geometry_msgs.msg import TwistStamped
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray, Skeleton
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MAX_AGE = 0.4  # seconds since the image was taken; 20 commands a second, so it stops within 0.5


def raises_a_hand(person: KeypointPose, names: list[str]) -> bool:
    """Return whether a wrist is seen above its shoulder; y points down."""
    points = dict(zip(names, person.keypoints, strict=True))
    pairs = [(points[f"{side}_wrist"], points[f"{side}_shoulder"]) for side in ("left", "right")]
    return any(w.state == s.state == Keypoint.OBSERVED and w.y < s.y for w, s in pairs)


class RaisedHand(Node):
    """Poses in, commands out."""

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
        """Return where somebody raises a hand, -1 (left) to 1 (right); None for nowhere."""
        skeleton, seen = self.latest.values()
        age = self.get_clock().now() - Time.from_msg(seen.header.stamp)
        if abs(age.nanoseconds) < MAX_AGE * 1e9 and seen.skeleton == skeleton.name:
            for person in seen.poses:
                if raises_a_hand(person, skeleton.keypoint_names):
                    return 2 * person.bbox.center.position.x / seen.image_width - 1
        return None

    def speed(self) -> float:  # radians a second, to the left
        return -(self.raised_hand() or 0.0)

    def command(self) -> None:
        command = TwistStamped()
        command.header.stamp, command.header.frame_id = self.get_clock().now().to_msg(), "base_link"
        command.twist.angular.z = self.speed()
        self.commands.publish(command)


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(RaisedHand())
