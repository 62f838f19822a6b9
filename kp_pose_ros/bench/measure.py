# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measuring: what a benchmark's round found, and the network alone for comparison."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import numpy as np

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.estimator import Engine

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class CameraRound:
    """What the cameras found in one round with the node.

    Attributes:
        seconds: how long it was.
        sent: how many frames each camera sent.
        answered: how many of each camera's were answered.
        latencies: seconds from each answered frame's stamp to its poses in the camera's process.
        cpu_seconds: what all cores together spent on the node's process.
    """

    seconds: float
    sent: list[int]
    answered: list[int]
    latencies: list[float]
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Answered frames a second, of all cameras together."""
        return sum(self.answered) / self.seconds


@dataclass(frozen=True, slots=True)
class NodeRound:
    """What one round with the node found.

    Attributes:
        cameras: what the cameras found.
        stages: durations of the node's stages, in seconds.
        became: what became of the frames that reached the node; `received` is the sum.
        memory: bytes that were resident in the node's process at the end.
        readings: what the machine told on average, by name and unit.
    """

    cameras: CameraRound
    stages: Mapping[str, Sequence[float]]
    became: Counter[str]
    memory: int
    readings: Mapping[str, float]


class Sampler:
    """Averages readings that a thread takes for as long as a `with` statement lasts."""

    def __init__(self, read: Callable[[], Mapping[str, float]], period: float) -> None:
        """Prepare to call `read` every `period` seconds."""
        self._read = read
        self._period = period
        self._found: defaultdict[str, list[float]] = defaultdict(list)
        self._ended = Event()
        self._thread = Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def means(self) -> dict[str, float]:
        """Return the mean of each reading."""
        return {name: float(np.mean(values)) for name, values in self._found.items()}

    def _run(self) -> None:
        while not self._ended.wait(self._period):
            for name, value in self._read().items():
                self._found[name].append(value)


def network_rate(engine: Engine, frames: Sequence[Frame], seconds: float) -> float:
    """Return how many frames a second the network alone takes, one after another."""
    call = engine.network_call(frames[:1])
    count, start = 0, perf_counter()
    while perf_counter() - start < seconds:
        call()
        count += 1
    return count / (perf_counter() - start)


def joined(durations: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the durations of each stage in all of some rounds."""
    stages: defaultdict[str, list[float]] = defaultdict(list)
    for each in durations:
        for name, seconds in each.items():
            stages[name] += seconds
    return dict(stages)


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def cpu_seconds(process: int) -> float:
    """Return what all threads of a process have used so far, of all cores together."""
    # Behind the name, which may hold anything: proc(5) counts from the process's number.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
