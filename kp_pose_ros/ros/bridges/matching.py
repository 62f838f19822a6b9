# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether people match what a planner asks for, and for how long they have done so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.poses import OBSERVED, Bools, Floats, Poses
from kp_pose_ros.timing import LATE, OddStamps

# Nanoseconds; if two images are further apart, the time in between counts as unknown.
MAX_GAP = 10**9


@dataclass(frozen=True, slots=True)
class Condition:
    """Which people match, how many must match, and for how long.

    Raises:
        SettingsError: a value is out of its range.
    """

    count: int = 1  # people who must match in one image, 1 and up
    min_score: float = 0.0  # the lowest score that matches, in [0, 1]
    keypoints: tuple[str, ...] = ()  # names of keypoints that must be OBSERVED
    # where the centre of the bounding box must be: left, top, right and bottom as fractions of the
    # image in [0, 1]; empty for anywhere
    region: tuple[float, ...] = ()
    min_distance: float = 0.0  # metres from the camera
    # metres; if min_distance is 0 and this infinite, the distance may be unknown
    max_distance: float = math.inf
    hold: int = 0  # nanoseconds that the match must last, 0 and up
    timeout: int = 0  # nanoseconds to wait at most; 0 for no limit

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError("count is 0: expected at least 1")
        if not 0 <= self.min_score <= 1:
            raise SettingsError(f"min_score is {self.min_score:g}: expected 0 to 1")
        check_region(self.region)
        if not 0 <= self.min_distance < self.max_distance:
            raise SettingsError(
                f"min_distance is {self.min_distance:g} and max_distance {self.max_distance:g}: "
                "expected 0 <= min_distance < max_distance, or max_distance 0 for no limit"
            )
        for name in ("hold", "timeout"):
            if getattr(self, name) < 0:
                raise SettingsError(
                    f"{name} is {getattr(self, name) / 1e9:g} s: expected 0 or more"
                )

    @property
    def needs_distance(self) -> bool:
        """Whether people whose distance is unknown cannot match."""
        return self.min_distance > 0 or math.isfinite(self.max_distance)

    def matches(
        self,
        poses: Poses,
        size: tuple[int, int],
        keypoint_names: Sequence[str],
        distances: Floats,
    ) -> Bools:
        """Return which of the n poses match, (n,).

        Args:
            poses: the people in one image.
            size: (height, width) of the image in pixels.
            keypoint_names: of the poses' skeleton; may be empty if the condition names none.
            distances: (n,) metres from the camera; NaN where unknown.

        Raises:
            SettingsError: a keypoint of the condition is not among `keypoint_names`.
        """
        indices = self._indices(keypoint_names)
        if not len(poses):  # without people the number of keypoints is unknown
            return np.zeros(0, bool)
        observed = poses.states[:, indices] == OBSERVED
        matches: Bools = (poses.scores >= np.float32(self.min_score)) & observed.all(axis=1)
        if self.region:
            matches &= in_region(poses.boxes, self.region, size)
        if self.needs_distance:
            matches &= (self.min_distance <= distances) & (distances <= self.max_distance)
        return matches

    def _indices(self, keypoint_names: Sequence[str]) -> list[int]:
        unknown = [name for name in self.keypoints if name not in keypoint_names]
        if unknown:
            raise SettingsError(
                f"the skeleton has no keypoint {brief(unknown[0])}: expected one of "
                f"{', '.join(keypoint_names)}"
            )
        return [keypoint_names.index(name) for name in self.keypoints]


@dataclass(slots=True)
class Hold:
    """For how long a condition has been met without a break, by the stamps of images."""

    # nanoseconds of the longest time that it has been met
    longest: int = field(default=0, init=False)
    # nanoseconds between the two newest images; None before the second one
    gap: int | None = field(default=None, init=False)
    _since: int | None = field(default=None, init=False)
    _latest: int | None = field(default=None, init=False)
    _odd_stamps: OddStamps[tuple[int | None, int | None]] = field(
        default_factory=OddStamps, init=False
    )

    def update(self, is_met: bool, stamp: int) -> int:
        """Add an image; return the nanoseconds since the first image of the unbroken series.

        A gap of more than `MAX_GAP` between two images breaks the series, and so does a clock that
        jumps back, as when a bag restarts; a single image with an odd stamp does not. An image that
        is a little late, or has the stamp 0 among others, counts as the newest.

        Args:
            is_met: whether the condition is met in this image.
            stamp: the image's, in nanoseconds.
        """
        was_met = self._since is not None
        self._since, self._latest = self._odd_stamps.resolve(stamp, (self._since, self._latest))
        if self._latest and (not stamp or -LATE <= stamp - self._latest < 0):
            stamp = self._latest
        else:
            self.gap = None if self._latest is None else stamp - self._latest
        unbroken = was_met and self.gap is not None and 0 <= self.gap <= MAX_GAP
        self._latest = stamp
        if not is_met:
            self._since = None
        elif self._since is None or not unbroken:
            self._since = stamp
        held = 0 if self._since is None else stamp - self._since
        self.longest = max(self.longest, held)
        return held


def check_region(region: tuple[float, ...]) -> None:
    """Check a goal's region: left, top, right and bottom as fractions of the image, or empty.

    Raises:
        SettingsError: it is neither.
    """
    if region:
        left, top, right, bottom = region if len(region) == 4 else [math.nan] * 4
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise SettingsError(
                f"region is {brief(list(region))}: expected left, top, right, bottom as fractions "
                "of the image, with 0 <= left < right <= 1 and 0 <= top < bottom <= 1, or nothing"
            )


def in_region(boxes: Floats, region: tuple[float, ...], size: tuple[int, int]) -> Bools:
    """Return which boxes are centred in a region of an image of (height, width), (n,)."""
    left, top, right, bottom = region
    height, width = size
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    inside: Bools = (left * width <= x) & (x <= right * width)
    inside &= (top * height <= y) & (y <= bottom * height)
    return inside
