# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How poses become places, messages and pictures; it changes with the parameters."""

from __future__ import annotations

from dataclasses import dataclass

from kp_pose_ros.image.frame import Size
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.ros.messages import Vocabulary
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes


@dataclass(frozen=True, slots=True)
class JpegSettings:
    """What `annotated/compressed` is like.

    Attributes:
        quality: 1 (small) to 100 (like the original).
        max_rate: pictures a second at most, by the images' stamps; 0 sends each.
        max_width: wider pictures are made this wide, in pixels; 0 leaves them as they are.
    """

    quality: int
    max_rate: float
    max_width: int

    def columns(self, source: Size) -> int:
        """Return how wide it is for a camera's picture of (height, width)."""
        return min(source[1], self.max_width or source[1])


@dataclass(frozen=True, slots=True)
class Presentation:
    """How poses become places, messages and pictures.

    Attributes:
        vocabulary: what the numbers in Poses mean.
        annotator: draws the annotated picture.
        jpeg: what its compressed form is like.
        lifter: gives keypoints a place in space.
        times: where the duration of each stage is recorded.
    """

    vocabulary: Vocabulary
    annotator: Annotator
    jpeg: JpegSettings
    lifter: Lifter
    times: StageTimes
