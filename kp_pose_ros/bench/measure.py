# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark's rounds measure, and the counters of the kernel that they read."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic, perf_counter

import numpy as np

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.cores import Machine
from kp_pose_ros.inference.estimator import Engine
from kp_pose_ros.poses import Array

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class CameraRound:
    """What the cameras measured in one round with the node or the relay."""

    seconds: float
    sent: list[int]  # frames that each camera sent
    answered: list[int]  # frames of each camera that were answered
    # seconds from the stamp of each answered frame to its poses in the camera process
    latencies: list[float]
    cpu_seconds: float  # CPU time of the process under test, of all cores together

    @property
    def rate(self) -> float:
        """Answered frames a second, of all cameras together."""
        return sum(self.answered) / self.seconds

    @property
    def cpu_a_frame(self) -> float:
        """CPU time for an answered frame, in seconds; NaN if none was answered."""
        return self.cpu_seconds / sum(self.answered) if any(self.answered) else math.nan

    @property
    def latency(self) -> float:
        """Median latency in seconds; NaN if no frame was answered."""
        return float(np.median(self.latencies)) if self.latencies else math.nan


@dataclass(frozen=True, slots=True)
class NodeRound:
    """What one round with the node measured."""

    cameras: CameraRound
    stages: Mapping[str, Sequence[float]]  # durations of the node's stages, in seconds
    became: Counter[str]  # what became of the frames that reached the node; `received` is the sum
    memory: int  # resident bytes of the node's process at the end
    readings: Mapping[str, float]  # the machine's sensors, averaged, by name and unit


@dataclass(frozen=True, slots=True)
class Rounds:
    """All measurements, round by round; those of one round were taken one after another."""

    network: list[float]  # frames a second of the network alone
    relay: list[CameraRound]  # with the minimal relay
    # rounds with the node, by whether its annotated image had a subscriber
    node: dict[bool, list[NodeRound]]


class Sampler:
    """Averages what `read` returns every `period` seconds while a `with` statement lasts."""

    def __init__(self, read: Callable[[], Mapping[str, float]], period: float) -> None:
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
    """Return the rate of the network alone, in frames a second, one frame after another."""
    call = engine.network_call(frames[:1])
    count, start = 0, perf_counter()
    while perf_counter() - start < seconds:
        call()
        count += 1
    return count / (perf_counter() - start)


def joined(durations: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the durations of each stage in all rounds together."""
    stages: defaultdict[str, list[float]] = defaultdict(list)
    for each in durations:
        for name, seconds in each.items():
            stages[name] += seconds
    return dict(stages)


def resident_bytes() -> int:
    """Return this process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far, of all its threads together."""
    # The fields after the name, which may itself contain spaces and brackets; see proc(5).
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / _TICKS


class OtherProcesses:
    """Measures how much of this machine's cores all processes but `ours` take, from now on."""

    def __init__(self, ours: Iterable[int]) -> None:
        self._ours = list(ours)
        self._begin = self._state()

    def share(self) -> float:
        """Return their share since the beginning of the cores that we may use, in [0, 1]."""
        seconds, cpu = self._state() - self._begin
        return float(np.clip(cpu / (seconds * len(os.sched_getaffinity(0))), 0, 1))

    def _state(self) -> Array:
        ours = sum(cpu_seconds(process) for process in self._ours)
        return np.array([monotonic(), Machine().busy_seconds(os.sched_getaffinity(0)) - ours])
