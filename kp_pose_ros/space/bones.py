# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which keypoints in space contradict their neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kp_pose_ros.poses import Array, Bools

# Lengths between joints, in body heights (Drillis and Contini: Body Segment Parameters, 1966, as in
# Winter: Biomechanics and Motor Control of Human Movement, 4th edition, figure 4.1); those of the
# head and across the torso are derived from them. S is one side of the body, O the opposite one.
_BONES = {
    ("S_shoulder", "S_elbow"): 0.186,
    ("S_elbow", "S_wrist"): 0.146,
    ("S_hip", "S_knee"): 0.245,
    ("S_knee", "S_ankle"): 0.246,
    ("S_shoulder", "S_hip"): 0.288,
}
# These may be shorter: they span a joint that bends, or are too short to infer a height from.
_SPANS = {
    ("S_shoulder", "S_wrist"): 0.332,
    ("S_hip", "S_ankle"): 0.491,
    ("S_shoulder", "O_hip"): 0.36,
    ("S_shoulder", "O_shoulder"): 0.23,
    ("S_hip", "O_hip"): 0.19,
    ("S_ear", "S_shoulder"): 0.18,
    ("nose", "S_shoulder"): 0.21,
    ("nose", "S_eye"): 0.04,
    ("nose", "S_ear"): 0.09,
    ("S_eye", "S_ear"): 0.07,
}
_HEIGHTS = (0.6, 2.1)  # metres, from a toddler to nearly the tallest adults
_USUAL_HEIGHT = 1.7  # where no bone shows the height
_TOLERANCE = 1.15  # proportions differ between people, and depth is of the skin, not of the joint
_SLACK = 0.03  # metres; the noise of a depth camera matters most for short bones


class Bones:
    """The distances between a skeleton's keypoints that no person exceeds.

    Bones are found by the keypoints' names, as in coco17. A skeleton with other names has none, and
    every keypoint of it counts as plausible.
    """

    def __init__(self, keypoint_names: Sequence[str]) -> None:
        pairs: dict[tuple[int, int], float] = {}
        for table in (_BONES, _SPANS):
            for ends, length in table.items():
                for side, other in (("left", "right"), ("right", "left")):
                    names = [
                        end.replace("S_", f"{side}_").replace("O_", f"{other}_") for end in ends
                    ]
                    if set(names) <= set(keypoint_names):
                        first, last = sorted(keypoint_names.index(name) for name in names)
                        pairs[first, last] = length
            if table is _BONES:
                self._rigid = len(pairs)  # how many of them show a height
        self._ends = np.array(list(pairs), np.intp).reshape(-1, 2)
        self._lengths = np.array(list(pairs.values()))
        # (bones, k): which keypoints a bone joins.
        self._joined = np.zeros((len(pairs), len(keypoint_names)))
        np.put_along_axis(self._joined, self._ends, 1.0, axis=1)
        self._has_bones = self._joined.any(axis=0)

    def plausible(self, points: Array) -> Bools:
        """Return which of (n, k, 3) points in metres, NaN where unknown, may be true: (n, k).

        A bone that is too long makes both of its ends suspect. The keypoint with the larger share
        of bones that are too long is removed first, then the rest is checked again: a wrist whose
        depth is the wall's is removed, and the elbow stays. A keypoint without any bone left to
        confirm it is removed, too.
        """
        known: Bools = np.isfinite(points).all(axis=-1)  # type: ignore[assignment]
        if not len(self._ends):
            return known
        lengths = self._lengths_of(points)
        heights = np.nan_to_num(self._heights(lengths), nan=_USUAL_HEIGHT).clip(*_HEIGHTS)
        limits = self._lengths * heights[:, None] * _TOLERANCE + _SLACK
        alive, too_long = np.isfinite(lengths), lengths > limits
        while (alive & too_long).any():
            bones, bad = alive @ self._joined, (alive & too_long) @ self._joined
            # With equal shares, the one with more such bones goes first: an elbow before its wrist.
            blame = np.where(known, bad / np.maximum(bones, 1) + 1e-3 * bad, 0)
            people = np.flatnonzero(bad.any(axis=1))
            known[people, blame.argmax(axis=1)[people]] = False
            alive &= known[:, self._ends].all(axis=-1)
        vouched: Bools = (alive @ self._joined > 0) | ~self._has_bones
        return known & vouched

    @property
    def tell_heights(self) -> bool:
        """Whether the skeleton has a bone that shows how tall a person is."""
        return self._rigid > 0

    def heights(self, points: Array) -> Array:
        """Return how tall (n,) people are by their bones, in the unit of their (n, k, 3) points.

        NaN where no bone is known.
        """
        return self._heights(self._lengths_of(points))

    def _lengths_of(self, points: Array) -> Array:
        first, last = (points.take(ends, axis=1) for ends in self._ends.T)
        ways = first - last
        lengths: Array = np.sqrt(np.einsum("nbi,nbi->nb", ways, ways))
        return lengths

    def _heights(self, lengths: Array) -> Array:
        """Return how tall (n,) people are, by the median of their (n, bones) lengths."""
        if not self.tell_heights:
            return np.full(len(lengths), np.nan)
        ratios = np.sort(lengths[:, : self._rigid] / self._lengths[: self._rigid], axis=1)
        counts = np.isfinite(ratios).sum(axis=1)  # NaN comes last
        # Half of the count is never beyond the last index.
        medians: Array = ratios[np.arange(len(ratios)), counts // 2]
        return medians
