# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters that come in groups, `annotated.boxes` and so on."""

from __future__ import annotations

from dataclasses import dataclass

from kp_pose_ros.ros.rules import parameter


@dataclass(frozen=True, slots=True)
class Annotated:
    """What is drawn on the annotated picture."""

    boxes: bool = parameter(True, "Draw a rectangle around each pose.", changeable=True)
    labels: bool = parameter(True, "Write class, track and score at each pose.", changeable=True)
    limbs: bool = parameter(True, "Draw the skeleton's edges.", changeable=True)
    keypoints: bool = parameter(True, "Draw a dot at each keypoint.", changeable=True)
    legend: bool = parameter(False, "Write each keypoint's name beside it.", changeable=True)
    color_by: str = parameter(
        "part",
        "What limbs and dots get their colour from: the body part, or the person's track.",
        choices=("part", "track"),
        changeable=True,
    )
    jpeg_quality: int = parameter(
        80,
        "Quality of annotated/compressed, from 1 (small) to 100 (like the original).",
        limits=(1, 100),
        changeable=True,
    )
    max_rate: float = parameter(
        0.0,
        "Pictures a second on annotated/compressed, at most; 0: every one.",
        limits=(0, 1000),
        changeable=True,
    )
    max_width: int = parameter(
        0,
        "Pixels that a picture on annotated/compressed is wide, at most; 0: as wide as the image.",
        limits=(0, 65500),
        changeable=True,
    )


@dataclass(frozen=True, slots=True)
class Tracking:
    """How people are followed from image to image."""

    enabled: bool = parameter(True, "Give each person an id that stays.", changeable=True)
    high_score: float = parameter(
        0.35, "Poses of at least this score may begin a track.", limits=(0, 1), changeable=True
    )
    min_hits: int = parameter(
        2,
        "Images in a row that show somebody before they get an id.",
        limits=(1, 100),
        changeable=True,
    )
    max_age: float = parameter(
        1.0,
        "Seconds that somebody may be out of sight and get the same id back.",
        limits=(0, 60),
        changeable=True,
    )
    smoothing: float = parameter(
        0.0,
        "How steady keypoints are made: 0 leaves them raw, more is steadier and later.",
        limits=(0, 10),
        changeable=True,
    )
    predict_ms: float = parameter(
        0.0,
        "Milliseconds for which a hidden keypoint is carried on as PREDICTED.",
        limits=(0, 2000),
        changeable=True,
    )


@dataclass(frozen=True, slots=True)
class Depth:
    """Where keypoints are in space."""

    enabled: bool = parameter(
        False, "Subscribe to `depth` and `camera_info`; fill in keypoints_3d; publish markers."
    )
    slop: float = parameter(
        0.02,
        "Seconds by which the stamps of an image and its depth image may differ.",
        limits=(0, 1),
    )


@dataclass(frozen=True, slots=True)
class Rig:
    """Where the cameras stand, to join what they see."""

    file: str = parameter(
        "", "Path of the file that says where the cameras stand; publish poses_3d. Empty: do not."
    )
    slop: float = parameter(
        0.02,
        "Seconds by which the stamps of images that are joined may differ.",
        limits=(0, 1),
    )


@dataclass(frozen=True, slots=True)
class DiagnosticLimits:
    """From where on /diagnostics says that a camera is not well."""

    warn_age: float = parameter(
        1.5, "Seconds without an image for a WARN.", limits=(0, 3600), changeable=True
    )
    error_age: float = parameter(
        30.0, "Seconds without an image for an ERROR.", limits=(0, 86400), changeable=True
    )
    warn_latency: float = parameter(
        1.0,
        "Seconds from stamp to poses, at the 95th percentile, for a WARN.",
        limits=(0, 3600),
        changeable=True,
    )
    warn_bad: float = parameter(
        0.0,
        "Share of unreadable, or of lost, images above which it is a WARN.",
        limits=(0, 1),
        changeable=True,
    )
