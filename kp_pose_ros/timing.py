# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Durations of the pipeline's stages, a throttle for log messages, and the clock of images."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from time import monotonic, perf_counter
from typing import Generic, TypeVar

import numpy as np

KEPT = 1000  # durations per stage; at 30 Hz, those of the last half minute
PERCENTILES = (50, 95, 99)
# Nanoseconds. An image that is older than the newest by no more is late, as from a jittery driver;
# by more, it belongs to a new time: a bag was restarted, or a clock was set. Less than a step of
# systemd-timesyncd, which sets the clock if it is wrong by more than 0.4 s (NTP_MAX_ADJUST).
LATE = 250_000_000
_SHORTEST_STEP = 1_000_000  # nanoseconds

State = TypeVar("State")


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
    """Return the `PERCENTILES` of durations; NaN if there are none."""
    if not seconds:
        return [float("nan")] * len(PERCENTILES)
    return [float(each) for each in np.percentile(seconds, PERCENTILES)]


class ImageClock:
    """The time by the stamps of images, for what ages.

    It advances by at least a millisecond an image, since stamps may stand still or be zero.

    Attributes:
        now: nanoseconds.
        newest: the newest stamp, nanoseconds; None before the first image.
    """

    def __init__(self) -> None:
        self.now = 0
        self.newest: int | None = None

    def back(self, stamp: int) -> int:
        """Return how many nanoseconds before the newest image one with this stamp was taken.

        A stamp of 0 says nothing: some drivers leave it in an image now and then.
        """
        return 0 if self.newest is None or not stamp else max(0, self.newest - stamp)

    def advance(self, stamp: int) -> None:
        """Advance by an image."""
        if self.newest is None:
            self.newest = self.now = stamp
        else:
            self.now += max(stamp - self.newest, _SHORTEST_STEP)
            self.newest = max(stamp, self.newest)


class OddStamps(Generic[State]):
    """Takes back what an image with an odd stamp has done, when the next image shows that it was.

    Whether a stamp far from the one before is odd or the first of a new time, only the next shows.
    """

    def __init__(self) -> None:
        self._last: int | None = None  # the stamp of the last image
        # That stamp, and the state, if the last image was odd.
        self._other: tuple[int, State] | None = None

    def resolve(self, stamp: int, state: State) -> State:
        """Return the state from which to process an image; call it for each one, first.

        Args:
            stamp: the image's, nanoseconds; 0 says nothing.
            state: of which a copy is kept if the stamp is far from the last one. It is returned,
                unless the stamp continues the time of the copy that was kept at the last image.
        """
        last = self._last
        if not stamp or last is None:
            self._last = stamp or last
            return state
        other, self._last, self._other = self._other, stamp, None
        if other and _continues(other[0], last, stamp):
            self._other = last, state
            last, state = other
        if abs(stamp - last) > LATE:
            self._other = last, deepcopy(state)
        return state


def _continues(stamp: int, other: int, later: int) -> bool:
    """Return whether a later image continues the time of one stamp rather than of the other."""
    if later < stamp - LATE:
        return False
    return later < other - LATE or abs(later - stamp) < later - other


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
