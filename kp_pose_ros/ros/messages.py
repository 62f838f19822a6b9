# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages -> the data types of the rest of the package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builtin_interfaces.msg import Duration, Time
from std_msgs.msg import Header as HeaderMsg
from vision_msgs.msg import BoundingBox2D

from kp_pose_ros.errors import ModelError, brief
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.poses import Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary


def nanoseconds(time: Time | Duration) -> int:
    """Return a Time or Duration message in nanoseconds. rclpy's own Time refuses negative ones."""
    return int(time.sec) * 10**9 + int(time.nanosec)


def time_to_msg(stamp: int) -> Time:
    """Return nanoseconds as a message."""
    return Time(sec=stamp // 10**9, nanosec=stamp % 10**9)


def header_to_msg(header: Header) -> HeaderMsg:
    """Return the message."""
    return HeaderMsg(stamp=time_to_msg(header.stamp), frame_id=header.frame_id)


def poses_from_msg(message: PoseArray) -> Poses:
    """Return the poses in a message.

    Raises:
        ValueError: its poses have different numbers of keypoints, or numbers that are not finite.
    """
    people = message.poses
    if not people:
        return Poses.empty(0)
    points = [[(each.x, each.y, each.score) for each in person.keypoints] for person in people]
    states = [[each.state for each in person.keypoints] for person in people]
    poses = Poses(
        boxes=np.array([_box_from_msg(person.bbox) for person in people], np.float32),
        scores=np.array([person.score for person in people], np.float32),
        keypoints=np.array(points, np.float32),
        class_ids=np.array([person.class_id for person in people], np.int32),
        track_ids=np.array([person.track_id for person in people], np.int32),
        track_ages=np.array([_seconds(person.track_age) for person in people]),
        states=np.array(states, np.uint8),
    )
    poses.check_finite()
    return poses


def vocabulary_from_msg(message: SkeletonMsg) -> Vocabulary:
    """Return the vocabulary in a message. Colours are not sent: everything is grey.

    Raises:
        ModelError: its edges are not pairs of its keypoints.
    """
    plain = Skeleton.from_names(message.name, message.keypoint_names)
    if len(message.edges) % 2 or max(message.edges, default=-1) >= len(plain):
        raise ModelError(
            f"the skeleton {brief(message.name)} has the edges {brief(list(message.edges))}: "
            f"expected pairs of indices of its {len(plain)} keypoints"
        )
    edges = tuple(zip(message.edges[::2], message.edges[1::2], strict=True))
    skeleton = replace(plain, edges=edges, edge_colors=plain.keypoint_colors[:1] * len(edges))
    return Vocabulary(skeleton, tuple(message.class_names))


def _seconds(duration: Duration) -> float:
    return float(duration.sec + duration.nanosec * 1e-9)


def _box_from_msg(bbox: BoundingBox2D) -> tuple[float, float, float, float]:
    center = bbox.center.position
    half_width, half_height = bbox.size_x / 2, bbox.size_y / 2
    return (
        center.x - half_width,
        center.y - half_height,
        center.x + half_width,
        center.y + half_height,
    )
