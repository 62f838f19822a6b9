# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Candidate rows of a raw output, for engines that were not built from a prepared graph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kp_pose_ros.inference.decode import BOX, CLASS, KEYPOINTS, SCORE
from kp_pose_ros.models.layouts import MAX_CANDIDATES
from kp_pose_ros.poses import Floats


def select_rows(raw: npt.NDArray[np.floating], classes: int) -> Floats:
    """Return the rows (m, 6 + K * D) of the best columns, as a prepared graph selects them.

    Args:
        raw: (4 + classes + K * D, anchors), as `Layout.RAW` describes it.
        classes: how many classes there are.
    """
    scores = raw[4 : 4 + classes].max(axis=0)
    surplus = max(0, len(scores) - MAX_CANDIDATES)
    chosen = np.argpartition(scores, surplus - 1)[surplus:] if surplus else slice(None)
    best = raw[:, chosen].T.astype(np.float32)
    centre, half_size = best[:, :2], best[:, 2:4] / 2
    rows = np.empty((len(best), best.shape[1] + 2 - classes), np.float32)
    rows[:, BOX] = np.hstack((centre - half_size, centre + half_size))
    rows[:, SCORE] = scores[chosen]
    rows[:, CLASS] = best[:, 4 : 4 + classes].argmax(axis=1)
    rows[:, KEYPOINTS] = best[:, 4 + classes :]
    return rows
