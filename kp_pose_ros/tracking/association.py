# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Association: the similarity of tracks and detections, and the best matches."""

from __future__ import annotations

import numpy as np

from kp_pose_ros.poses import Array, Indices
from kp_pose_ros.tracking.motion import (
    CENTER,
    KEYPOINTS,
    POSITION,
    SIZE,
    VARIANCE,
    spans_of,
)
from kp_pose_ros.tracking.smoothing import NEVER
from kp_pose_ros.tracking.tracks import Detections, Tracks

# The disagreement of annotators on a keypoint: standard deviations as fractions of the square root
# of a person's area. These are the constants of the COCO keypoint evaluation (kpt_oks_sigmas in
# cocoapi's cocoeval.py, https://cocodataset.org/#keypoints-eval), the same for left and right.
_NOSE, _EYE, _EAR = 0.026, 0.025, 0.035
_SHOULDER, _ELBOW, _WRIST = 0.079, 0.072, 0.062
_HIP, _KNEE, _ANKLE = 0.107, 0.087, 0.089
_PAIRS = (_EYE, _EAR, _SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE)
COCO_SIGMAS = np.array((_NOSE, *np.repeat(_PAIRS, 2)))
GENERIC_SIGMA = 0.07  # their mean
_BOX_WEIGHT = 4.0  # the box counts as this many keypoints
# A track and a detection are compared if their boxes overlap after both are enlarged by the factor,
# and the track's by this many standard deviations of its position on each side.
_ENLARGED, _REACH = 1.25, 3.0
_LIKELY = 0.02  # a track and a detection of at least this similarity may be one person
_WITNESSES = 3  # if this many people move alike, the camera moves
_LEAST_SHIFT = 0.01  # of the camera, in spans; as much as the noise of a detection


def sigmas_of(skeleton: str, count: int) -> Array:
    """Return the (count,) sigmas of a skeleton: COCO's for coco17, a generic one for others."""
    return COCO_SIGMAS if skeleton == "coco17" else np.full(count, GENERIC_SIGMA)


def similarity(tracks: Tracks, detections: Detections, sigmas: Array) -> Array:
    """Return the similarity of each track and detection: (t, d), from 0 to 1 (the same).

    It is the mean of the keypoints' similarities, as the COCO keypoint evaluation defines them
    (object keypoint similarity), and the boxes' intersection over union, which counts as several
    keypoints. It includes only keypoints seen in both, and is 0 for different classes.

    Args:
        tracks: t people, predicted to the time of the image.
        detections: d poses of the image.
        sigmas: (k,), see `sigmas_of`.
    """
    result = np.zeros((len(tracks), len(detections)))
    position, points = tracks.motion[:, POSITION], detections.points
    i, j = _neighbours(tracks, detections)
    area = position[:, 0, SIZE] * position[:, 1, SIZE]
    both = (tracks.keypoints_seen > NEVER).take(i, axis=0) & detections.seen.take(j, axis=0)
    spread = area[:, None] * (2 * sigmas) ** 2 + tracks.motion[:, VARIANCE, KEYPOINTS]
    position, points = position.take(i, axis=0), points.take(j, axis=0)
    away = position - points
    away *= away
    distance = away[:, 0, KEYPOINTS] + away[:, 1, KEYPOINTS]
    keypoints = np.exp(distance / (-2 * spread).take(i, axis=0)) * both

    size, other_size = position[..., SIZE].T, points[..., SIZE].T
    apart = np.sqrt(away[..., CENTER]).T
    overlap = np.minimum((size + other_size) / 2 - apart, np.minimum(size, other_size))
    shared = np.maximum(overlap[0], 0) * np.maximum(overlap[1], 0)
    iou = shared / (size[0] * size[1] + other_size[0] * other_size[1] - shared)
    counted = both.sum(axis=-1)
    result[i, j] = (_BOX_WEIGHT * iou + keypoints.sum(axis=-1)) / (_BOX_WEIGHT + counted)
    return result


def _neighbours(tracks: Tracks, detections: Detections) -> tuple[Indices, Indices]:
    """Return the pairs of one class whose boxes overlap, or nearly do.

    Only these are compared, so that the cost of a crowd grows with its size, not its square.
    """
    near = tracks.classes[:, None] == detections.classes
    uncertainty = _REACH * np.sqrt(tracks.motion[:, VARIANCE, CENTER])
    for axis in (0, 1):
        center, size = tracks.motion[:, axis, CENTER], tracks.motion[:, axis, SIZE]
        other, other_size = detections.points[:, axis, CENTER], detections.points[:, axis, SIZE]
        half, other_half = _ENLARGED / 2 * size + uncertainty, _ENLARGED / 2 * other_size
        near &= (center - half)[:, None] < other + other_half
        near &= (center + half)[:, None] > other - other_half
    rows, columns = near.nonzero()
    return rows, columns


def assign(similarities: Array, least: float) -> tuple[Indices, Indices]:
    """Return the rows and columns of the pairs with the largest sum of (t, d) similarities.

    Pairs of a similarity below `least` stay apart.
    """
    from scipy.optimize import linear_sum_assignment  # not above: it takes 0.5 s and 40 MB

    worth = np.where(similarities >= least, similarities, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    paired = worth[rows, columns] > 0
    return rows[paired], columns[paired]


def common_shift(tracks: Tracks, detections: Detections, similarities: Array) -> Array | None:
    """Return the shift that all people have in common, (2,) pixels: the motion of the camera.

    It is the median over all keypoints of the likely pairs, so that the motion of one person does
    not affect it. None if there are too few people to estimate it, or it is within the noise.

    Args:
        tracks: t people, predicted to the time of the image.
        detections: d poses of the image.
        similarities: (t, d).
    """
    if min(similarities.shape) < _WITNESSES:
        return None
    rows, columns = assign(similarities, _LIKELY)
    both = tracks.keypoints_seen.take(rows, axis=0) > NEVER
    both &= detections.seen.take(columns, axis=0)
    if np.count_nonzero(both.any(axis=1)) < _WITNESSES:
        return None
    away = detections.points.take(columns, axis=0) - tracks.motion[rows, POSITION]
    away = away[..., KEYPOINTS].swapaxes(0, 1)[:, both]
    middle = away.shape[1] // 2
    shift: Array = np.partition(away, middle)[:, middle]
    noise = _LEAST_SHIFT * spans_of(tracks.motion)[rows].min()
    return shift if np.abs(shift).max() > noise else None
