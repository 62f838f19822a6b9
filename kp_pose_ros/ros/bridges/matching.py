# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether people fit what a planner asks for, and for how long they have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.poses import OBSERVED, Floats, Poses

Mask = npt.NDArray[np.bool_]

# Nanoseconds between two images after which nothing is known to have held in between.
MAX_GAP = 10**9


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who fits, and how many have to.

    Attributes:
        count: how many people have to fit at once, 1 and up.
        min_score: the lowest score that fits, in [0, 1].
        keypoints: names of those that have to be OBSERVED.
        region: where the centre of the bounding box has to lie: left, top, right and bottom, as
            fractions of the image in [0, 1]; empty for anywhere.
        min_distance: metres from the camera.
        max_distance: metres; with 0 and infinity no distance need be known.

    Raises:
        SettingsError: a value is out of its range.
    """

    count: int = 1
    min_score: float = 0.0
    keypoints: tuple[str, ...] = ()
    region: tuple[float, ...] = ()
    min_distance: float = 0.0
    max_distance: float = math.inf

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError("count is 0: expected at least 1")
        if not 0 <= self.min_score <= 1:
            raise SettingsError(f"min_score is {self.min_score:g}: expected 0 to 1")
        if self.region and not _is_region(self.region):
            found = ", ".join(f"{each:g}" for each in self.region)
            raise SettingsError(
                f"region is [{found}]: expected left, top, right, bottom as fractions of the "
                "image, with 0 <= left < right <= 1 and 0 <= top < bottom <= 1, or nothing"
            )
        if not 0 <= self.min_distance < self.max_distance:
            raise SettingsError(
                f"min_distance is {self.min_distance:g} and max_distance {self.max_distance:g}: "
                "expected 0 <= min_distance < max_distance, or max_distance 0 for no limit"
            )

    @property
    def needs_distance(self) -> bool:
        """Whether somebody whose distance is unknown cannot fit."""
        return self.min_distance > 0 or math.isfinite(self.max_distance)

    def fitting(
        self,
        poses: Poses,
        size: tuple[int, int],
        keypoint_names: Sequence[str],
        distances: Floats,
    ) -> Mask:
        """Return for each of the n poses whether it fits.

        Args:
            poses: the people in one image.
            size: (height, width) of the image in pixels.
            keypoint_names: of the skeleton that the poses follow; may be empty if no keypoint is
                wanted.
            distances: (n,) metres from the camera, not a number where that is unknown.

        Raises:
            SettingsError: a wanted keypoint is not among `keypoint_names`.
        """
        indices = self._indices(keypoint_names)
        if not len(poses):  # a message without people does not tell how many keypoints they have
            return np.zeros(0, bool)
        observed = poses.states[:, indices] == OBSERVED
        fits: Mask = (poses.scores >= np.float32(self.min_score)) & observed.all(axis=1)
        if self.region:
            left, top, right, bottom = self.region
            height, width = size
            x, y = (poses.boxes[:, :2] + poses.boxes[:, 2:]).T / 2
            fits &= (left * width <= x) & (x <= right * width)
            fits &= (top * height <= y) & (y <= bottom * height)
        if self.needs_distance:
            fits &= (self.min_distance <= distances) & (distances <= self.max_distance)
        return fits

    def _indices(self, keypoint_names: Sequence[str]) -> list[int]:
        unknown = [name for name in self.keypoints if name not in keypoint_names]
        if unknown:
            raise SettingsError(
                f"the skeleton has no keypoint '{unknown[0]}': expected one of "
                f"{', '.join(keypoint_names)}"
            )
        return [keypoint_names.index(name) for name in self.keypoints]


@dataclass(slots=True)
class Hold:
    """For how long something has been so without a break, by the stamps of images."""

    _since: int | None = field(default=None, init=False)
    _latest: int | None = field(default=None, init=False)

    def update(self, is_so: bool, stamp: int) -> int:
        """Take note of one image; return the nanoseconds since the first of an unbroken row.

        A gap of more than `MAX_GAP` between two images, or a clock that runs backwards as when a
        bag starts again, breaks the row.

        Args:
            is_so: whether it is so in this image.
            stamp: the image's, in nanoseconds.
        """
        unbroken = self._latest is not None and 0 <= stamp - self._latest <= MAX_GAP
        self._latest = stamp
        if not is_so:
            self._since = None
        elif self._since is None or not unbroken:
            self._since = stamp
        return 0 if self._since is None else stamp - self._since


def _is_region(region: tuple[float, ...]) -> bool:
    if len(region) != 4:
        return False
    left, top, right, bottom = region
    return 0 <= left < right <= 1 and 0 <= top < bottom <= 1
