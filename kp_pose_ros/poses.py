# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses: the container that the stages of the pipeline exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Indices = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
UNTRACKED = -1

# The states of a keypoint; the numbers are those of Keypoint.msg.
ABSENT, OBSERVED, PREDICTED = 0, 1, 2


R = TypeVar("R", bound="Rows")
_Maker = Callable[[], npt.NDArray[Any]]


class Rows:
    """Base of dataclasses whose fields are arrays that share their first axis."""

    __slots__ = ()

    def __getitem__(self: R, index: slice | Bools | Indices) -> R:
        """Return the chosen rows: a slice, a boolean mask or an array of indices."""
        return type(self)(*(column[index] for column in self._columns()))

    def joined(self: R, other: R) -> R:
        """Return these rows, followed by those of `other`."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        return type(self)(*map(np.concatenate, pairs))

    def _columns(self) -> list[npt.NDArray[Any]]:
        return [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Poses(Rows):
    """The n people (or whatever the model's classes are) found in one frame, best score first.

    Attributes:
        boxes: (n, 4) float32, x1 y1 x2 y2 in source pixels.
        scores: (n,) float32 in [0, 1].
        keypoints: (n, k, 3) float32, x y in source pixels and a score in [0, 1].
        class_ids: (n,) int32, indices into the model's class names; zeros if left out.
        track_ids: (n,) int32, -1 where there is no track; all -1 if left out.
        track_ages: (n,) float64, seconds since the track began; zeros if left out.
        states: (n, k) uint8, ABSENT (a guess below the keypoint threshold), OBSERVED or PREDICTED
            (extrapolated by the tracker); if left out, OBSERVED where the keypoint has a score.

    Raises:
        ValueError: an array's shape does not match the others.
    """

    boxes: Floats
    scores: Floats
    keypoints: Floats
    class_ids: Ints = None  # type: ignore[assignment]  # filled below
    track_ids: Ints = None  # type: ignore[assignment]
    track_ages: Array = None  # type: ignore[assignment]
    states: npt.NDArray[np.uint8] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n = len(self.boxes)
        k = self.keypoints.shape[1] if self.keypoints.ndim == 3 else 0
        self._check("boxes", (n, 4))
        self._check("scores", (n,))
        self._check("keypoints", (n, k, 3))  # before `states`, which may be made from them
        self._check("class_ids", (n,), lambda: np.zeros(n, np.int32))
        self._check("track_ids", (n,), lambda: np.full(n, UNTRACKED, np.int32))
        self._check("track_ages", (n,), lambda: np.zeros(n))
        self._check("states", (n, k), lambda: observed(self.keypoints, 0))

    def _check(self, name: str, shape: tuple[int, ...], default: _Maker | None = None) -> None:
        array = getattr(self, name)
        if array is None and default is not None:
            array = default()
            object.__setattr__(self, name, array)
        if array.shape != shape:
            raise ValueError(f"Poses.{name} has shape {array.shape}: expected {shape}")

    @classmethod
    def empty(cls, keypoint_count: int) -> Poses:
        """Return an empty container, for a skeleton of `keypoint_count` keypoints."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, keypoint_count, 3), np.float32),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def check_finite(self) -> None:
        """Check poses from elsewhere, such as a message.

        Raises:
            ValueError: a coordinate or score is not a finite number.
        """
        for array in (self.boxes, self.scores, self.keypoints):
            if not np.isfinite(array).all():
                raise ValueError("it has a coordinate or score that is not a finite number")

    def scaled(self, factor: float) -> Poses:
        """Return the poses for the same picture, scaled by `factor`."""
        if factor == 1:
            return self
        keypoints = self.keypoints * np.array((factor, factor, 1), np.float32)
        return replace(self, boxes=self.boxes * np.float32(factor), keypoints=keypoints)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where the n people of a Poses are in space, as one point each, and how they move.

    What is not known is NaN.

    Attributes:
        position: (n, 3), metres.
        position_variance: (n,), square metres, the same in all directions.
        velocity: (n, 3), metres / s.
        velocity_variance: (n,), (metres / s) squared, the same in all directions.
        frame_id: the frame of positions and velocities; not always that of the keypoints in space.
    """

    position: Array
    position_variance: Array
    velocity: Array
    velocity_variance: Array
    frame_id: str = ""

    @classmethod
    def unknown(cls, count: int) -> Motion:
        """Return the motion of people about whom nothing is known."""
        position, velocity = np.full((2, count, 3), np.nan)
        position_variance, velocity_variance = np.full((2, count), np.nan)
        return cls(position, position_variance, velocity, velocity_variance)


def observed(keypoints: Floats, threshold: float) -> npt.NDArray[np.uint8]:
    """Return the states of keypoints as a model gives them.

    Args:
        keypoints: (n, k, 3), x y score.
        threshold: the lowest score, in [0, 1], of an OBSERVED one; a score of 0 is always ABSENT.

    Returns:
        (n, k) uint8, OBSERVED or ABSENT.
    """
    scores = keypoints[..., 2]
    seen = scores >= threshold if threshold > 0 else scores > 0
    return seen.view(np.uint8)  # ABSENT is 0 and OBSERVED is 1
