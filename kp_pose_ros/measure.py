# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measuring: what a benchmark's round found, and the network alone for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from kp_pose_ros.estimator import Engine
from kp_pose_ros.frame import Frame

PERCENTILES = (50, 95, 99)
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class NodeRound:
    """What one round with the node found.

    Attributes:
        seconds: how long it was.
        shares: how many frames of each camera were answered.
        latencies: seconds from each frame's stamp to its poses in the camera's process.
        memory: bytes that were resident in the node's process at the end.
    """

    seconds: float
    shares: list[int]
    latencies: list[float]
    memory: int

    @property
    def rate(self) -> float:
        """Frames a second, of all cameras together."""
        return sum(self.shares) / self.seconds


@dataclass(slots=True)
class Rounds:
    """Rounds of the network alone (frames a second) and of the node, taken in turn."""

    network: list[float] = field(default_factory=list)
    node: list[NodeRound] = field(default_factory=list)


def network_rate(engine: Engine, frames: Sequence[Frame], seconds: float) -> float:
    """Return how many frames a second the network alone takes, one after another."""
    call = engine.network_call(frames[:1])
    count, start = 0, perf_counter()
    while perf_counter() - start < seconds:
        call()
        count += 1
    return count / (perf_counter() - start)


def percentiles(seconds: Sequence[float]) -> list[float]:
    """Return the `PERCENTILES` of durations; not a number where there are none."""
    if not seconds:
        return [float("nan")] * len(PERCENTILES)
    return [float(each) for each in np.percentile(seconds, PERCENTILES)]


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
