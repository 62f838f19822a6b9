# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gestures of people."""

from kp_pose_ros.msg import Keypoint, KeypointPose


def raises_a_hand(person: KeypointPose, names: list[str]) -> bool:
    """Return whether a wrist is above its shoulder; y points down."""
    points = dict(zip(names, person.keypoints, strict=True))
    pairs = [(points[f"{side}_wrist"], points[f"{side}_shoulder"]) for side in ("left", "right")]
    return any(w.state == s.state == Keypoint.OBSERVED and w.y < s.y for w, s in pairs)
