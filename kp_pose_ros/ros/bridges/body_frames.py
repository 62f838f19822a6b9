# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TF frames `body_<id>` of people, as REP-155 defines them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from kp_pose_ros.msg import KeypointPose, PoseArray
from kp_pose_ros.poses import Array

_TORSO = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
# Metres; the widths of an adult's hips and shoulders add up to about 0.6. From the side, a camera
# measures only the near hip and shoulder, which do not show which way the body faces.
_MIN_WIDTH = 0.3


def body_id(track_id: int) -> str:
    """Return a body's id; parts of topic names must not begin with a digit."""
    return f"kp{track_id}"


class BodyFrames:
    """Broadcasts the frame of each tracked person whose hips and shoulders have 3D positions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(TFMessage, "/tf", QoSProfile(depth=100))

    def broadcast(self, message: PoseArray, keypoint_names: Sequence[str]) -> None:
        """Broadcast the frames of the people in a message.

        Args:
            message: the poses; the header's frame becomes the parent of the frames.
            keypoint_names: the skeleton's.
        """
        if not set(_TORSO) <= set(keypoint_names):
            return
        torso = [list(keypoint_names).index(name) for name in _TORSO]
        people = [p for p in message.poses if p.track_id >= 0 and _are_valid(p, torso)]
        if not people:
            return
        if not message.header.frame_id:  # every listener to TF would complain
            self._node.get_logger().warning(
                "bodies have no TF frames, since the images have no frame_id: set it in the "
                "camera's driver",
                throttle_duration_sec=10.0,
            )
            return
        positions, rotations = body_poses(
            np.array([[_xyz(person, index) for index in torso] for person in people])
        )
        transforms = [
            TransformStamped(
                header=message.header,
                child_frame_id=f"body_{body_id(person.track_id)}",
                transform=Transform(
                    translation=Vector3(**dict(zip("xyz", position, strict=True))),
                    rotation=Quaternion(**dict(zip("xyzw", rotation, strict=True))),
                ),
            )
            for person, position, rotation in zip(people, positions, rotations, strict=True)
            if all(np.isfinite(rotation))
        ]
        if transforms:
            self._publisher.publish(TFMessage(transforms=transforms))


def body_poses(torsos: Array) -> tuple[list[list[float]], list[list[float]]]:
    """Return the positions x y z and quaternions x y z w of n bodies.

    The origin is the middle of the hips; x points forward, y to the body's left, z to the head. A
    quaternion is NaN if it is not clear which way the body faces.

    Args:
        torsos: (n, 4, 3) metres: left hip, right hip, left shoulder, right shoulder.
    """
    from scipy.spatial.transform import Rotation  # not above: it takes 0.3 s and 30 MB

    hips, shoulders = torsos[:, :2].mean(axis=1), torsos[:, 2:].mean(axis=1)
    left = (torsos[:, ::2] - torsos[:, 1::2]).sum(axis=1)
    forward = np.cross(left, shoulders - hips)
    width, area = np.linalg.norm(left, axis=1), np.linalg.norm(forward, axis=1)
    is_clear = (width >= _MIN_WIDTH) & (area > 0)
    axes = np.tile(np.eye(3), (len(torsos), 1, 1))  # columns are x, y and z
    axes[is_clear, :, 0] = (forward / np.maximum(area, 1e-9)[:, None])[is_clear]
    axes[is_clear, :, 1] = (left / np.maximum(width, 1e-9)[:, None])[is_clear]
    axes[is_clear, :, 2] = np.cross(axes[is_clear, :, 0], axes[is_clear, :, 1])
    quaternions = Rotation.from_matrix(axes).as_quat()
    quaternions[~is_clear] = np.nan
    return hips.tolist(), quaternions.tolist()


def _are_valid(person: KeypointPose, keypoints: list[int]) -> bool:
    """Return whether all of these keypoints of a person have a 3D position."""
    points = person.keypoints_3d
    return len(points) > max(keypoints) and all(
        points[index].valid and all(map(math.isfinite, _xyz(person, index))) for index in keypoints
    )


def _xyz(person: KeypointPose, index: int) -> tuple[float, float, float]:
    position = person.keypoints_3d[index].position
    return position.x, position.y, position.z
