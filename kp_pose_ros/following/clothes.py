# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The colours of people's clothes: one small histogram of the torso and one of the legs.

Pixels are sampled between keypoints, so a person costs microseconds. The histograms are of hue,
or of brightness where a pixel is nearly grey; they are compared by the Hellinger distance
(of the Bhattacharyya coefficient; Comaniciu, Ramesh, Meer: Kernel-Based Object Tracking, IEEE
Transactions on Pattern Analysis and Machine Intelligence, 2003, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import OBSERVED, Array, Bools, Poses

Pixels = npt.NDArray[np.uint8]

PARTS, TORSO = 2, 0  # and the legs
_HUES, _GRAYS = 8, 4
BINS = _HUES + _GRAYS
_NAMES = tuple(
    f"{side}_{joint}" for joint in ("shoulder", "hip", "knee") for side in ("left", "right")
)
_MIN_VISIBLE = 0.4  # share of a part's samples that must be visible

# Saturation times brightness (0 to 1): the bounds between grey and coloured pixels.
_GRAY_BELOW, _COLOUR_ABOVE = 0.08, 0.25

_VIEWS = 6  # remembered for each person: front, back, sides, in light and shade
_NEW_VIEW = 0.18  # a histogram this far from all known views is a new one
_LEARNING = 0.1  # share of a new image in a known view


def _grid(across: Array, along: Array) -> Array:
    """Return all pairs of the two, (m, 2)."""
    return np.stack(np.meshgrid(across, along), axis=-1).reshape(-1, 2)


# Across the torso from left to right, and down from the shoulders to the hips.
_TORSO = _grid(np.linspace(0.15, 0.85, 10), np.linspace(0.1, 0.9, 12))
# Down each thigh.
_LEGS = np.linspace(0.15, 1.0, 40)


class ClothesHistograms:
    """Computes the histograms of people's clothes, which keypoints locate."""

    def __init__(self, keypoint_names: Sequence[str]) -> None:
        """Find shoulders, hips and knees by name; without them, all histograms are NaN."""
        names = list(keypoint_names)
        self._indices = [names.index(each) for each in _NAMES if each in names]

    def compute(self, picture: Pixels, poses: Poses, size: tuple[int, int], ranks: Array) -> Array:
        """Return the histograms, (n, PARTS, BINS); NaN for a part that cannot be seen.

        Args:
            picture: (h, w, 3) BGR, the source image or the same at a lower resolution.
            poses: the people in it.
            size: (height, width) of the source image, in whose pixels the poses are.
            ranks: (n,), lower for nearer people: samples inside a nearer person's box are not
                counted for the people behind.
        """
        found = np.full((len(poses), PARTS, BINS), np.nan)
        if len(self._indices) < len(_NAMES) or not len(poses):
            return found
        points = poses.keypoints[:, self._indices, :2].astype(np.float64)
        seen = poses.states[:, self._indices] == OBSERVED
        for part, (samples, known) in enumerate((_torso(points, seen), _legs(points, seen))):
            visible = known & self._uncovered(samples, poses, ranks)
            scale = np.array(picture.shape[1::-1]) / size[::-1]
            pixels = np.nan_to_num(samples * scale).astype(np.intp)
            visible &= np.all((pixels >= 0) & (pixels < picture.shape[1::-1]), axis=-1)
            enough = visible.mean(axis=1) >= _MIN_VISIBLE
            if enough.any():
                x, y = pixels[enough].clip(0, np.array(picture.shape[1::-1]) - 1).transpose(2, 0, 1)
                found[enough, part] = _histograms(picture[y, x], visible[enough])
        return found

    def _uncovered(self, samples: Array, poses: Poses, ranks: Array) -> Bools:
        """Return which samples lie outside the boxes of all nearer people, (n, m)."""
        low, high = poses.boxes[:, :2], poses.boxes[:, 2:]
        inside = np.all((samples[:, :, None] >= low) & (samples[:, :, None] <= high), axis=-1)
        nearer: Bools = np.less(ranks[None, :], ranks[:, None])
        uncovered: Bools = ~np.any(inside & nearer[:, None], axis=-1)
        return uncovered


def _torso(points: Array, seen: Bools) -> tuple[Array, Bools]:
    """Return samples between shoulders and hips, (n, m, 2), and (n, m) whether they are known."""
    across, down = _TORSO.T[..., None]
    left, right, left_hip, right_hip = (points[:, i, None] for i in range(4))
    top, bottom = left + across * (right - left), left_hip + across * (right_hip - left_hip)
    known: Bools = np.all(seen[:, :4], axis=1)
    return top + down * (bottom - top), np.repeat(known[:, None], len(_TORSO), axis=1)


def _legs(points: Array, seen: Bools) -> tuple[Array, Bools]:
    """Return samples along both thighs, like `_torso`; one thigh is enough."""
    down = _LEGS[:, None]
    samples, known = [], []
    for hip, knee in ((2, 4), (3, 5)):
        first, last = points[:, hip, None], points[:, knee, None]
        samples.append(first + down * (last - first))
        known.append(np.repeat((seen[:, hip] & seen[:, knee])[:, None], len(_LEGS), axis=1))
    return np.concatenate(samples, axis=1), np.concatenate(known, axis=1)


def _histograms(pixels: Pixels, counted: Bools) -> Array:
    """Return the (n, BINS) histograms of (n, m, 3) BGR pixels; each sums to 1.

    A pixel between two bins counts for both, so a small change of light changes the result little.
    """
    hsv = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV).astype(np.float64)
    hue, value = hsv[..., 0] * (_HUES / 180), hsv[..., 2] * ((_GRAYS - 1) / 255)
    chroma = hsv[..., 1] * hsv[..., 2] / 255**2
    colour = ((chroma - _GRAY_BELOW) / (_COLOUR_ABOVE - _GRAY_BELOW)).clip(0, 1) * counted
    gray = counted - colour
    histograms = np.zeros((len(pixels), BINS))
    rows = np.arange(len(pixels))[:, None]
    for position, weight, first, bins in ((hue, colour, 0, _HUES), (value, gray, _HUES, _GRAYS)):
        lower = np.floor(position)
        upper_share = position - lower
        for index, share in ((lower, 1 - upper_share), (lower + 1, upper_share)):
            # Hue is a circle; brightness never reaches beyond the last bin.
            np.add.at(histograms, (rows, first + index.astype(np.intp) % bins), weight * share)
    histograms /= counted.sum(axis=1, keepdims=True)
    return histograms


class Views:
    """The histograms of one person from several views: front, back, in light and shade."""

    def __init__(self) -> None:
        self._views = np.zeros((0, PARTS, BINS))

    def distances(self, histograms: Array) -> Array:
        """Return the Hellinger distances of (n, PARTS, BINS) histograms to the nearest view: (n,).

        From 0 (the same) to 1; NaN if no part is known in both, or there is no view yet.
        """
        nearest = _distances(histograms, self._views).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(nearest), nearest, np.nan)

    def learn(self, histogram: Array) -> None:
        """Add a (PARTS, BINS) histogram that is certain to be this person's.

        A histogram without a torso is ignored.
        """
        if not np.isfinite(histogram[TORSO]).all():
            return
        distances = _distances(histogram[None], self._views)[0]
        if len(distances) and distances.min() < _NEW_VIEW:
            view = self._views[distances.argmin()]
            learned = np.where(np.isfinite(view), view + _LEARNING * (histogram - view), histogram)
            view[:] = np.where(np.isfinite(histogram), learned, view)
        else:
            # Replaces the oldest view once there are _VIEWS of them.
            self._views = np.concatenate((self._views, histogram[None]))[-_VIEWS:]


def _distances(histograms: Array, views: Array) -> Array:
    """Return the distances of histograms and views, (n, m): means over the parts known in both.

    Infinite where there is no such part.
    """
    overlap = np.sqrt(histograms[:, None] * views).sum(axis=-1)
    parts = np.sqrt(np.maximum(0, 1 - overlap))
    known = np.isfinite(parts)
    sums = np.where(known, parts, 0).sum(axis=-1)
    return np.where(known.any(axis=-1), sums / known.sum(axis=-1).clip(1), np.inf)
