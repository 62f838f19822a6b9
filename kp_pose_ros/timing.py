# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long the stages of the pipeline take."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import numpy as np

KEPT = 1000  # durations a stage; at 30 Hz the last half minute
PERCENTILES = (50, 95, 99)


class StageTimes:
    """The latest durations of named stages, written by the engine's threads and read by any."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Record how long the body of the `with` statement takes."""
        start = perf_counter()
        yield
        self.add(stage, perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Record one duration of a stage."""
        self._seconds[stage].append(seconds)

    def seconds(self) -> dict[str, list[float]]:
        """Return the latest durations of each stage, in seconds, oldest first."""
        return {stage: list(durations) for stage, durations in list(self._seconds.items())}

    def clear(self) -> None:
        """Forget everything, as after a warm-up."""
        self._seconds.clear()


def percentiles(seconds: Sequence[float]) -> list[float]:
    """Return the `PERCENTILES` of durations; not a number where there are none."""
    if not seconds:
        return [float("nan")] * len(PERCENTILES)
    return [float(each) for each in np.percentile(seconds, PERCENTILES)]
