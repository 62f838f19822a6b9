# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations of the pipeline's stages, a throttle for log messages, and how late an image may be."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, perf_counter

import numpy as np

KEPT = 1000  # durations per stage; at 30 Hz, those of the last half minute
PERCENTILES = (50, 95, 99)
# Nanoseconds. An image older than the newest by no more is a late one, as from a jittery driver; one
# that is older by more belongs to a new time: a bag was restarted, or a clock was set.
LATE = 250_000_000


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


class Throttle:
    """Limits how often a message is logged. rclpy's own throttle does not tell cameras apart."""

    def __init__(self, period: float) -> None:
        """Make a throttle that passes each key at most once in `period` seconds."""
        self._period = period
        self._last: dict[Hashable, float] = {}

    def passes(self, key: Hashable) -> bool:
        """Return whether `key` has not passed within the period; if so, it has now."""
        now = monotonic()
        if now - self._last.get(key, -self._period) < self._period:
            return False
        self._last[key] = now
        return True
