# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses: the one container that stages of the pipeline hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
UNTRACKED = -1


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The n people (or whatever the model's classes are) found in one frame, best score first.

    Attributes:
        boxes: (n, 4) float32, x1 y1 x2 y2 in source pixels.
        scores: (n,) float32 in [0, 1].
        keypoints: (n, k, 3) float32, x y in source pixels and a score in [0, 1].
        class_ids: (n,) int32, indices into the model's class names; zeros if left out.
        track_ids: (n,) int32, -1 where there is no track; all -1 if left out.

    Raises:
        ValueError: an array's shape does not fit the others.
    """

    boxes: Floats
    scores: Floats
    keypoints: Floats
    class_ids: Ints = None  # type: ignore[assignment]  # filled below
    track_ids: Ints = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        for name, fill in (("class_ids", 0), ("track_ids", UNTRACKED)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(n, fill, np.int32))
        k = self.keypoints.shape[1] if self.keypoints.ndim == 3 else 0
        expected = {
            "boxes": (n, 4),
            "scores": (n,),
            "keypoints": (n, k, 3),
            "class_ids": (n,),
            "track_ids": (n,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"Poses.{name} has shape {found}: expected {shape}")

    @classmethod
    def empty(cls, keypoint_count: int) -> Poses:
        """Return a container of nobody, for a skeleton of `keypoint_count` keypoints."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, keypoint_count, 3), np.float32),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Poses:
        """Return the chosen poses: a slice, a boolean mask or an array of indices."""
        return Poses(
            self.boxes[index],
            self.scores[index],
            self.keypoints[index],
            self.class_ids[index],
            self.track_ids[index],
        )
