# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user can choose about tracking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """How people are followed.

    Attributes:
        enabled: False leaves poses as they are, untracked.
        high_score: poses of at least this score, in [0, 1], are matched first and may begin a
            track; those below only continue one.
        min_hits: images in a row, 1 and up, that show somebody before they get an id.
        max_age: seconds that somebody may be out of sight and still get the same id back.
        smoothing: 0 leaves keypoints raw, 1 suits a planner, more is steadier and later.
        predict_ms: milliseconds for which a hidden keypoint is carried on as PREDICTED.
    """

    enabled: bool = True
    high_score: float = 0.35
    min_hits: int = 2
    max_age: float = 1.0
    smoothing: float = 0.0
    predict_ms: float = 0.0
