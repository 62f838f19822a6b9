# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well a tracker kept identities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class Score:
    """IDF1 (Ristani et al.: Performance Measures and a Data Set for Multi-Target, Multi-Camera
    Tracking, 2016) and the number of times that somebody got another id than before."""

    idf1: float
    switches: int

    def __str__(self) -> str:
        return f"IDF1 {self.idf1:.3f}, {self.switches} switches"


def score(frames: Iterable[tuple[list[int], list[tuple[int, int]]]]) -> Score:
    """Return the score of a run: for each frame who was visible, and (person, id) as tracked."""
    together: dict[tuple[int, int], int] = {}
    last: dict[int, int] = {}
    visible = tracked = switches = 0
    for people, pairs in frames:
        visible += len(people)
        tracked += len(pairs)
        for person, track_id in pairs:
            together[person, track_id] = together.get((person, track_id), 0) + 1
            switches += last.get(person, track_id) != track_id
            last[person] = track_id
    people_seen = sorted({person for person, _ in together})
    ids = sorted({track_id for _, track_id in together})
    counts = np.array([[together.get((p, i), 0) for i in ids] for p in people_seen]).reshape(
        len(people_seen), len(ids)
    )
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return Score(2 * counts[rows, columns].sum() / max(1, visible + tracked), switches)
