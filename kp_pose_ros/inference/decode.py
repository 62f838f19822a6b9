# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Candidate rows of a network -> Poses: threshold, NMS, mapping to source pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.poses import Floats, Indices, Poses, observed
from kp_pose_ros.settings import setting

BOX = slice(0, 4)
SCORE = 4
CLASS = 5
KEYPOINTS = slice(6, None)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What an engine returns for one frame."""

    # (m, 6 + K * D) float32: x1 y1 x2 y2 score class and K keypoints of D numbers, in network
    # pixels, in any order. Rows of zeros are padding
    rows: Floats
    letterbox: Letterbox  # the geometry that maps them back to the frame


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What counts as a pose."""

    score_threshold: float = setting(0.25, "Minimum score of a pose.", limits=(0, 1))
    iou_threshold: float = setting(
        0.7,
        "NMS: IoU above which only the better of two boxes of one class is kept.",
        limits=(0, 1),
    )
    keypoint_threshold: float = setting(
        0.5, "Keypoints with a lower score are ABSENT and not drawn.", limits=(0, 1)
    )
    max_poses: int = setting(300, "Maximum number of poses in an image.", limits=(1, 1000))


def decode(
    candidates: Candidates,
    kpt_shape: tuple[int, int],
    settings: DecodeSettings,
    *,
    suppress: bool = True,
) -> Poses:
    """Return the poses among the candidates, best score first.

    Args:
        candidates: an engine's rows for one frame, as `OutputCheck` leaves them.
        kpt_shape: (K, D), K keypoints of D = 2 (x y) or D = 3 (x y score) numbers.
        settings: thresholds and limits.
        suppress: whether one person may be among them several times.
    """
    likely = (candidates.rows[:, SCORE] > settings.score_threshold).nonzero()[0]
    if not len(likely):
        return _no_poses(kpt_shape[0])
    rows = candidates.rows.take(likely, axis=0)
    if suppress:
        chosen = _suppress(rows, settings.iou_threshold)
    else:
        chosen = np.argsort(-rows[:, SCORE], kind="stable")
    rows = rows.take(chosen[: settings.max_poses], axis=0)
    corners, points = rows[:, BOX].reshape(-1, 2, 2), rows[:, KEYPOINTS].reshape(-1, *kpt_shape)
    xy = np.concatenate((corners, points[..., :2]), axis=1)
    xy = candidates.letterbox.to_source(xy)
    keypoints = _keypoints(xy[:, 2:], points)
    return Poses(
        boxes=xy[:, :2].reshape(-1, 4),
        scores=rows[:, SCORE],
        keypoints=keypoints,
        class_ids=rows[:, CLASS].astype(np.int32),
        states=observed(keypoints, settings.keypoint_threshold),
    )


@cache
def _no_poses(keypoint_count: int) -> Poses:
    return Poses.empty(keypoint_count)


def _suppress(rows: Floats, iou_threshold: float) -> Indices:
    """Return the indices that greedy, class-aware NMS keeps, best score first."""
    boxes, classes = rows[:, BOX].astype(np.float64), rows[:, CLASS, None]
    if classes.any():
        # Boxes of different classes never overlap: each class has an offset of its own.
        # NMSBoxesBatched would do the same, but OpenCV 4.5 (Humble) lacks it.
        boxes += classes * (boxes.max() - boxes.min() + 1)
    boxes[:, 2:] -= boxes[:, :2]  # x, y, width, height
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), rows[:, SCORE].tolist(), 0.0, iou_threshold)
    return np.asarray(kept, np.intp).reshape(-1)


def _keypoints(xy: Floats, points: Floats) -> Floats:
    """Return (n, K, 2) source pixels with the scores of (n, K, D) network points: (n, K, 3)."""
    keypoints = np.empty((*xy.shape[:2], 3), np.float32)
    keypoints[..., :2] = xy
    # Without a score of its own a keypoint is certain, unless it is the origin: networks with
    # D = 2 are trained to put missing keypoints there.
    keypoints[..., 2] = points[..., 2] if points.shape[2] == 3 else xy.any(axis=2)
    return keypoints
