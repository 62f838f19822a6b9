# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bodies in the form of OpenPose's COCO model, as used by REP-155's hri_msgs/Skeleton2D.

It has 18 joints: COCO's 17 in a different order, and the neck between the shoulders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kp_pose_ros.errors import ModelError
from kp_pose_ros.poses import ABSENT, Floats, Ints, Poses

NECK, RIGHT_SHOULDER, LEFT_SHOULDER = 1, 2, 5

# In the order of the constants of hri_msgs/Skeleton2D, without NECK.
_KEYPOINTS = (
    "nose",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
)


def body_indices(skeleton: str, keypoint_names: Sequence[str]) -> Ints:
    """Return the indices of the keypoints that `openpose_joints` needs, (17,).

    Args:
        skeleton: the skeleton's name, for the error message.
        keypoint_names: its keypoints; it may have more than a body's.

    Raises:
        ModelError: the skeleton lacks one of them.
    """
    missing = [name for name in _KEYPOINTS if name not in keypoint_names]
    if missing:
        raise ModelError(
            f"the skeleton '{skeleton}' has no keypoint '{missing[0]}': expected the 17 of a body, "
            "named as in config/skeletons/coco17.yaml"
        )
    return np.array([keypoint_names.index(name) for name in _KEYPOINTS], np.int32)


def openpose_joints(poses: Poses, indices: Ints, size: tuple[int, int]) -> Floats:
    """Return the (n, 18, 3) joints of n poses: x and y as fractions of the image, and a score.

    All are in [0, 1]: a joint outside the image lies at its edge. An ABSENT joint is all zero,
    since the message cannot express it otherwise. The neck lies midway between the shoulders, with
    the lower of their scores; unless both are present it is all zero.

    Args:
        poses: n poses of one skeleton.
        indices: `body_indices` of that skeleton.
        size: (height, width) of the image in pixels, 1 and up.
    """
    joints = np.zeros((len(poses), 18, 3), np.float32)
    if not len(poses):  # without people, the keypoint axis may be empty, too
        return joints
    detected = [joint for joint in range(18) if joint != NECK]
    known = poses.states[:, indices, None] != ABSENT
    joints[:, detected] = np.where(known, poses.keypoints[:, indices], 0)
    shoulders = joints[:, [LEFT_SHOULDER, RIGHT_SHOULDER]]
    score = shoulders[..., 2].min(axis=1)
    joints[:, NECK, :2] = np.where(score[:, None] > 0, shoulders[..., :2].mean(axis=1), 0)
    joints[:, NECK, 2] = score
    joints[..., :2] /= size[::-1]
    return joints.clip(0, 1)


def normalized_boxes(boxes: Floats, size: tuple[int, int]) -> Floats:
    """Return (n, 4) boxes in pixels as fractions of the image, in [0, 1]: x1 y1 x2 y2."""
    height, width = size
    return (boxes / np.array([width, height, width, height], np.float32)).clip(0, 1)
