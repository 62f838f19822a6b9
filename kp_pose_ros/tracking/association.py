# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who is who: how alike tracks and poses are, and the best pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from kp_pose_ros.tracking.motion import CENTER, FIRST_KEYPOINT, SIZE
from kp_pose_ros.tracking.smoothing import NEVER
from kp_pose_ros.tracking.tracks import Sightings, Tracks

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# How far people disagree on a keypoint: standard deviations as fractions of the square root of a
# person's area. The constants of the COCO keypoint evaluation (kpt_oks_sigmas in cocoapi's
# cocoeval.py, https://cocodataset.org/#keypoints-eval), of which the limbs' are for both sides.
_NOSE, _EYE, _EAR = 0.026, 0.025, 0.035
_SHOULDER, _ELBOW, _WRIST = 0.079, 0.072, 0.062
_HIP, _KNEE, _ANKLE = 0.107, 0.087, 0.089
_PAIRS = (_EYE, _EAR, _SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE)
COCO_SIGMAS = np.array((_NOSE, *np.repeat(_PAIRS, 2)))
GENERIC_SIGMA = 0.07  # their mean
_BOX_WEIGHT = 4.0  # how many keypoints the box counts as
_LIKELY = 0.02  # two of at least this similarity may be one
_WITNESSES = 3  # people who move alike do so because the camera does
_LEAST_SHIFT = 0.01  # of the camera, in spans; as much as the noise of a detection
_REACH = 1.0  # boxes further apart than this many of their sizes are not compared


def sigmas_of(skeleton: str, count: int) -> Array:
    """Return the (count,) sigmas of a skeleton: COCO's for coco17, a generic one for others."""
    return COCO_SIGMAS if skeleton == "coco17" else np.full(count, GENERIC_SIGMA)


def similarity(tracks: Tracks, sightings: Sightings, sigmas: Array) -> Array:
    """Return how alike each track and sighting are: (t, d), 0 (not at all) to 1.

    It is the mean of the keypoints' similarities, as the COCO keypoint evaluation defines them
    (object keypoint similarity), and the boxes' intersection over union, which counts as several
    keypoints. Only keypoints that both sides have seen take part, and only one class is compared.

    Args:
        tracks: t people, moved on to the time of the image.
        sightings: d poses of the image.
        sigmas: (k,), see `sigmas_of`.
    """
    places, others = tracks.motion.position, sightings.points
    sizes, other_sizes = places[:, None, SIZE], others[:, SIZE]
    half = (sizes + other_sizes) / 2
    gap = np.abs(places[:, None, CENTER] - others[:, CENTER]) - half
    # Only neighbours are compared, so that the cost of a crowd grows with its size, not its square.
    near = (gap < _REACH * half).all(axis=-1) & (tracks.classes[:, None] == sightings.classes)
    i, j = pairs = np.nonzero(near)

    size, other_size = sizes[i, 0], other_sizes[j]
    area, other_area = _area(size), _area(other_size)
    overlap = _area(np.minimum(-gap[pairs], np.minimum(size, other_size)).clip(0))
    iou = overlap / (area + other_area - overlap)

    both = (tracks.keypoints_seen > NEVER)[i] & sightings.seen[j]
    ways = (places.take(i, axis=0) - others.take(j, axis=0))[:, FIRST_KEYPOINT:]
    distance = np.einsum("pki,pki->pk", ways, ways)
    spread = area[:, None] * (2 * sigmas) ** 2 + tracks.motion.covariance[i, FIRST_KEYPOINT:, 0]
    alike = np.exp(-distance / (2 * spread)) * both
    result = np.zeros(near.shape)
    result[pairs] = (_BOX_WEIGHT * iou + alike.sum(axis=-1)) / (_BOX_WEIGHT + both.sum(axis=-1))
    return result


def _area(sizes: Array) -> Array:
    """Return the (m,) areas of (m, 2) sizes."""
    area: Array = sizes[:, 0] * sizes[:, 1]
    return area


def assign(similarities: Array, least: float) -> tuple[Indices, Indices]:
    """Return the rows and columns of the pairs that are most alike in all.

    Args:
        similarities: (t, d), 0 to 1.
        least: pairs that are less alike than this stay apart.
    """
    worth = np.where(similarities >= least, similarities, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    paired = worth[rows, columns] > 0
    return rows[paired], columns[paired]


def common_shift(tracks: Tracks, sightings: Sightings, alike: Array) -> Array | None:
    """Return how far, (2,) pixels, everybody moved together: the camera's own movement.

    It is the median over all keypoints of the likely pairs, so that one person's movement is not
    taken for the camera's. None: too few people tell, or nothing worth mentioning.

    Args:
        tracks: t people, moved on to the time of the image.
        sightings: d poses of the image.
        alike: (t, d), their similarity.
    """
    rows, columns = assign(alike, _LIKELY)
    both = (tracks.keypoints_seen > NEVER)[rows] & sightings.seen[columns]
    if both.any(axis=1).sum() < _WITNESSES:
        return None
    ways = (sightings.points[columns] - tracks.motion.position[rows])[:, FIRST_KEYPOINT:][both]
    shift: Array = np.sort(ways, axis=0)[len(ways) // 2]
    worth = _LEAST_SHIFT * tracks.motion.spans[rows].min()
    return shift if np.abs(shift).max() > worth else None
