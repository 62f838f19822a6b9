# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the rows that a network returns: impossible ones are dropped, counted and logged once.

A naively quantized model has scores above 1, and a half-precision one overflows. An output that is
read in the wrong layout or kpt_shape has inverted boxes, or coordinates in place of scores.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np

from kp_pose_ros.errors import ModelError
from kp_pose_ros.inference.decode import BOX, CLASS, KEYPOINTS, SCORE
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Bools, Floats

_TOLERANCE = 1e-3  # float16 has steps of half of it below 1
_LARGEST_SCORE = 8  # of a badly quantized model; coordinates in its place are larger
_ENOUGH = 20  # rows without a fault show that the layout is right
_log = logging.getLogger(__name__)


class OutputCheck:
    """Checks what one model returns.

    Attributes:
        counts: in how many frames each fault was found, by its name.
    """

    def __init__(self, model: PoseModel) -> None:
        self.counts: Counter[str] = Counter()
        self._model = model
        self._classes = len(model.metadata.class_names)
        self._kpt_shape = model.metadata.kpt_shape
        self._has_point_scores = self._kpt_shape[1] == 3
        self._good_rows = 0

    def __call__(self, rows: Floats, score_threshold: float) -> Floats:
        """Return those of (m, 6 + K * D) rows that score more than the threshold and are possible.

        Raises:
            ModelError: most rows of the first frames are as wrong as those of another layout.
        """
        scores = rows[:, SCORE]
        is_above = ~(scores <= score_threshold)  # NaN, too
        if not is_above.any():
            return rows[:0]
        rows = rows[is_above]
        rows = self._drop("numbers that are not finite", rows, _any(~np.isfinite(rows)))
        boxes, classes = rows[:, BOX], rows[:, CLASS]
        faults = {
            "boxes of negative size": _any(boxes[:, 2:] < boxes[:, :2]),
            "classes that the model lacks": (
                (classes % 1 != 0) | (classes < 0) | (classes >= self._classes)
            ),
            "impossible scores": rows[:, SCORE] > _LARGEST_SCORE,
        }
        is_wrong = np.any(list(faults.values()), axis=0)
        if self._good_rows < _ENOUGH:
            self._check_layout(is_wrong | self._have_other_keypoints(rows))
        for fault, mask in faults.items():
            self._drop(fault, rows, mask)
        return self._clip(rows[~is_wrong])

    def _have_other_keypoints(self, rows: Floats) -> Bools:
        """Return for each row whether its keypoints look like those of another kpt_shape.

        A wrong kpt_shape may fit the width of the output: 12 keypoints of x y score are as wide as
        18 of x y, and three classes more as wide as a keypoint more.
        """
        points = rows[:, KEYPOINTS].reshape(len(rows), *self._kpt_shape)
        is_unit = (points > 0) & (points <= 1)  # as scores are, and coordinates almost never
        if self._has_point_scores:
            are_coordinates = np.abs(points[..., 2]) > _LARGEST_SCORE
            return _half(are_coordinates) | _any(np.logical_and.reduce(is_unit, axis=2))
        are_mixed = np.logical_or.reduce(is_unit, axis=2) & (points.max(axis=2) > 1)
        return _half(are_mixed)  # a missing keypoint is near 0

    def _check_layout(self, is_wrong: Bools) -> None:
        """Refuse a model whose rows look like those of another layout."""
        wrong = int(is_wrong.sum())
        if 2 * wrong > is_wrong.size:
            self.counts["another layout"] += 1
            metadata = self._model.metadata
            raise ModelError(
                f"the output of {self._model.path} does not match the layout "
                f"{metadata.layout.value}, a class count of {self._classes} and kpt_shape "
                f"{list(metadata.kpt_shape)}: {wrong} of {is_wrong.size} rows have boxes of "
                "negative size, a class that the model lacks, or coordinates in place of scores; "
                "set the parameter layout (--layout of kp_pose) to another one, or export the "
                "model again"
            )
        self._good_rows += is_wrong.size - wrong

    def _clip(self, rows: Floats) -> Floats:
        """Bring scores into [0, 1]."""
        columns = [rows[:, SCORE, None]]
        if self._has_point_scores:
            columns.append(rows[:, KEYPOINTS][:, 2::3])
        found = np.concatenate(columns, axis=1)
        if found.size and (found.min() < -_TOLERANCE or found.max() > 1 + _TOLERANCE):
            self._note("scores outside of 0 to 1", f"such as {found.flat[np.abs(found).argmax()]}")
        for column in columns:
            np.clip(column, 0, 1, out=column)
        return rows

    def _drop(self, fault: str, rows: Floats, is_wrong: Bools) -> Floats:
        if not is_wrong.any():
            return rows
        self._note(fault, f"in {is_wrong.sum()} of {is_wrong.size} rows")
        return rows[~is_wrong]

    def _note(self, fault: str, example: str) -> None:
        self.counts[fault] += 1
        if self.counts[fault] == 1:
            _log.warning(
                "the network of %s returns %s (%s), which are dropped or clipped; was the model "
                "quantized without calibration, or made for another precision?",
                self._model.path,
                fault,
                example,
            )


def _any(is_wrong: Bools) -> Bools:
    """Return for each row whether something in it is wrong."""
    return np.asarray(is_wrong.any(axis=1))


def _half(are_wrong: Bools) -> Bools:
    """Return for each row whether at least half of it is wrong."""
    return np.asarray(2 * are_wrong.sum(axis=1) >= are_wrong.shape[1])
