# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One body as REP-155 (ROS4HRI) has it: its topics."""

from __future__ import annotations

from hri_msgs.msg import NormalizedPointOfInterest2D, NormalizedRegionOfInterest2D, Skeleton2D
from rclpy.node import Node
from std_msgs.msg import Header

from kp_pose_ros.ros.messages import RESULTS

TOPICS = "/humans/bodies"  # of the whole robot, in whatever namespace the node is


class Body:
    """The topics of one body.

    Attributes:
        seen: when it was seen last, nanoseconds of the node's clock.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.seen = 0
        self._node = node
        region, points = f"{TOPICS}/{name}/roi", f"{TOPICS}/{name}/skeleton2d"
        self._region = node.create_publisher(NormalizedRegionOfInterest2D, region, RESULTS)
        self._points = node.create_publisher(Skeleton2D, points, RESULTS)

    def publish(
        self, header: Header, box: list[float], score: float, joints: list[list[float]]
    ) -> None:
        """Publish what one image shows, all as fractions: x1 y1 x2 y2, and 18 times x y score."""
        if self._region.get_subscription_count():
            region = NormalizedRegionOfInterest2D(header=header, c=score)
            region.xmin, region.ymin, region.xmax, region.ymax = box
            self._region.publish(region)
        if self._points.get_subscription_count():
            points = [NormalizedPointOfInterest2D(x=x, y=y, c=c) for x, y, c in joints]
            self._points.publish(Skeleton2D(header=header, skeleton=points))

    def close(self) -> None:
        """Take the topics back."""
        for publisher in (self._region, self._points):
            self._node.destroy_publisher(publisher)
