# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the rows that a network returns: impossible ones are dropped, counted and logged once.

A naively quantized model has scores above 1, a half-precision one overflows, and an output that is
read in the wrong layout has inverted boxes.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import ModelError
from kp_pose_ros.inference.decode import BOX, CLASS, KEYPOINTS, SCORE
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats

_TOLERANCE = 1e-3  # float16 has steps of half of it below 1
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
        self._has_point_scores = model.metadata.kpt_shape[1] == 3
        self._good_rows = 0

    def __call__(self, rows: Floats, score_threshold: float) -> Floats:
        """Return the rows of one frame that score more than the threshold and are possible.

        Args:
            rows: (m, 6 + K * D), as an engine returns them.
            score_threshold: rows of a lower score are not checked.

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
        is_inverted = _any(boxes[:, 2:] < boxes[:, :2])
        has_no_class = (classes % 1 != 0) | (classes < 0) | (classes >= self._classes)
        self._check_layout(is_inverted | has_no_class)
        good = self._drop("boxes of negative size", rows, is_inverted)
        good = self._drop("classes that the model lacks", good, has_no_class[~is_inverted])
        return self._clip(good)

    def _check_layout(self, is_wrong: npt.NDArray[np.bool_]) -> None:
        """Refuse a model whose rows look like those of another layout."""
        if self._good_rows >= _ENOUGH:
            return
        wrong = int(is_wrong.sum())
        if 2 * wrong > is_wrong.size:
            self.counts["another layout"] += 1
            raise ModelError(
                f"the output of {self._model.path} is not what the layout "
                f"{self._model.metadata.layout.value} says: {wrong} of {is_wrong.size} boxes have "
                "a negative size or a class that the model lacks, so set the parameter layout "
                "(--layout of kp_pose) to another, or export the model again"
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

    def _drop(self, fault: str, rows: Floats, is_wrong: npt.NDArray[np.bool_]) -> Floats:
        if not is_wrong.any():
            return rows
        self._note(fault, f"in {is_wrong.sum()} of {is_wrong.size} rows")
        return rows[~is_wrong]

    def _note(self, fault: str, example: str) -> None:
        self.counts[fault] += 1
        if self.counts[fault] == 1:
            _log.warning(
                "the network of %s gives %s (%s): those are left out or limited; was the model "
                "quantized without calibration, or made for another precision?",
                self._model.path,
                fault,
                example,
            )


def _any(is_wrong: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for each row whether something in it is wrong."""
    return np.asarray(is_wrong.any(axis=1))
