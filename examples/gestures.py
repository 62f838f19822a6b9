# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Gestures of people."""

from kp_pose_ros.msg import Keypoint, KeypointPose


def raises_a_hand(person: KeypointPose, names: list[str]) -> bool:
    """Return whether a wrist is above its shoulder; y points down."""
    seen = {
        name: point
        for name, point in zip(names, person.keypoints, strict=False)  # too few: the rest is unseen
        if point.state == Keypoint.OBSERVED
    }
    pairs = [(f"{side}_wrist", f"{side}_shoulder") for side in ("left", "right")]
    return any({w, s} <= seen.keys() and seen[w].y < seen[s].y for w, s in pairs)
