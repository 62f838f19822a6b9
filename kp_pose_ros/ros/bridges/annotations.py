# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros annotations`: poses for Foxglove to draw on the image."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kp_pose_ros.msg import PoseArray
from kp_pose_ros.output.drawing import line_width, person_color
from kp_pose_ros.poses import ABSENT, UNTRACKED, Floats, Indices, Poses
from kp_pose_ros.ros.bridges.bridge import Bridge, PosesOnDemand
from kp_pose_ros.ros.messages import poses_from_msg
from kp_pose_ros.ros.process import has_package, run_node
from kp_pose_ros.ros.qos import RESULTS

_TICK = 0.1  # seconds between two checks for subscribers
_LETTER, _DOT = 12, 4  # height and diameter, in widths of a line


class AnnotationsNode(Bridge):
    """Publishes `poses` as annotations of their image.

    It subscribes to `poses` only while its own topic has a subscriber, so that the network need not
    run otherwise.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start; `node_arguments` are those of rclpy's Node."""
        from foxglove_msgs.msg import ImageAnnotations

        super().__init__("annotations", **node_arguments)
        self._poses = PosesOnDemand(self, self._on_poses)
        self._annotations = self.create_publisher(ImageAnnotations, "annotations", RESULTS)
        self.create_steady_timer(_TICK, self._tick)
        self.ready(
            f"publishes the people in '{self.resolve_topic_name('poses')}' on "
            f"'{self.resolve_topic_name('annotations')}'"
        )

    def _tick(self) -> None:
        self._poses.want(self._annotations.get_subscription_count() > 0)

    def _on_poses(self, message: PoseArray) -> None:
        edges = self._poses.skeleton_of(message).edges
        try:
            self._annotations.publish(annotations_in(message, edges))
        except ValueError as error:
            self.get_logger().warning(
                f"a message on 'poses' was ignored: {error}; expected people with the same number "
                "of keypoints, and a skeleton whose edges are pairs of them",
                throttle_duration_sec=10.0,
            )


def annotations_in(message: PoseArray, edges: Sequence[int]) -> Any:
    """Return the foxglove_msgs/ImageAnnotations of a PoseArray: boxes, limbs, keypoints, labels.

    Keypoints that are ABSENT, and limbs to them, are left out.

    Args:
        message: the poses. Foxglove counts pixels from the same corner.
        edges: pairs of keypoint indices, one after the other, as in a Skeleton.

    Raises:
        ValueError: the poses have different numbers of keypoints, or numbers that are not finite,
            or the edges are no pairs.
    """
    from foxglove_msgs.msg import Color, ImageAnnotations, Point2, PointsAnnotation, TextAnnotation

    poses, stamp = poses_from_msg(message), message.header.stamp
    width = float(line_width((message.image_height, message.image_width)))
    pairs = np.array(edges, np.intp).reshape(-1, 2)
    pairs = pairs[(pairs < poses.states.shape[1]).all(axis=1)]
    found = ImageAnnotations()
    if hasattr(found, "timestamp"):  # not before foxglove_msgs 3.2.5
        found.timestamp = stamp
    for index, person in enumerate(message.poses):
        blue, green, red = (value / 255 for value in person_color(poses, index))
        color = Color(r=red, g=green, b=blue, a=1.0)
        for kind, points, thickness in _shapes(poses, index, pairs):
            if len(points):
                shape = PointsAnnotation(timestamp=stamp, type=kind, outline_color=color)
                shape.points = [Point2(x=x, y=y) for x, y in points.tolist()]
                shape.thickness = thickness * width
                found.points.append(shape)
        track = "" if person.track_id == UNTRACKED else f" {person.track_id}"
        label = TextAnnotation(timestamp=stamp, text_color=Color(a=1.0), background_color=color)
        label.position = Point2(x=float(poses.boxes[index, 0]), y=float(poses.boxes[index, 1]))
        label.text = f"{person.class_name}{track} {person.score:.2f}".lstrip()
        label.font_size = _LETTER * width
        found.texts.append(label)
    return found


def _shapes(poses: Poses, index: int, pairs: Indices) -> Iterator[tuple[int, Floats, float]]:
    """Yield the shapes of the person at an index: kind, points, and thickness in widths of a line.

    `pairs`, (e, 2), are the skeleton's edges.
    """
    from foxglove_msgs.msg import PointsAnnotation

    corners = poses.boxes[index][[[0, 1], [2, 1], [2, 3], [0, 3]]]
    keypoints, shown = poses.keypoints[index, :, :2], poses.states[index] != ABSENT
    yield PointsAnnotation.LINE_LOOP, corners, 1.0
    yield PointsAnnotation.LINE_LIST, keypoints[pairs[shown[pairs].all(axis=1)].ravel()], 2.0
    yield PointsAnnotation.POINTS, keypoints[shown], _DOT


def main() -> int:
    """Run the node; return the process's exit code."""
    mend = "apt install ros-$ROS_DISTRO-foxglove-msgs"
    if not has_package("annotations", "foxglove_msgs", mend):
        return 1
    return run_node(
        "annotations",
        "Publishes poses as annotations that Foxglove draws (foxglove_msgs/ImageAnnotations).",
        lambda _: AnnotationsNode(),
    )


if __name__ == "__main__":
    sys.exit(main())
