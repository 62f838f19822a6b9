# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many threads a network on the CPU has: as many as the machine has cores left for it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import monotonic, process_time

_PERIOD = 1.0  # seconds over which the machine's load is measured
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class Threads:
    """What a network is opened with.

    Attributes:
        count: how many threads, at least 1.
        spin: whether they wait for each other awake. That is faster where each has a core, and
            half as fast, at twice the CPU time, where they have to share.
    """

    count: int
    spin: bool


ONE = Threads(1, spin=False)


class Machine:
    """The kernel's figures of this machine, as this process sees it."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read below `root`."""
        self._root = root

    def cores(self) -> set[int]:
        """Return the numbers of the cores that the calling thread may run on."""
        return os.sched_getaffinity(0)

    def quota(self) -> float:
        """Return how many cores' time this process's cgroups grant it; infinite without a limit."""
        return min(self._quotas(), default=math.inf)

    def busy_seconds(self, cores: set[int]) -> float:
        """Return how long `cores` have worked so far, or another virtual machine in their place."""
        names, ticks = {f"cpu{number}" for number in cores}, 0
        for line in self._lines("proc/stat"):
            name, *fields = line.split()
            if name in names:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                ticks += user + nice + system + irq + softirq + steal
        return ticks / _TICKS

    def _quotas(self) -> Iterator[float]:
        """Yield the limit of each cgroup that this process is in, of version 1 and 2."""
        for line in self._lines("proc/self/cgroup"):
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            mount = self._root / "sys/fs/cgroup" / controllers
            # A container may see the names of its host's cgroups, but has its own at the top.
            for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
                yield from _quota(mount / folder.relative_to("/"), is_v1=bool(controllers))

    def _lines(self, name: str) -> list[str]:
        """Return a file's lines; none if this kernel or sandbox does not have it."""
        try:
            return (self._root / name).read_text().splitlines()
        except OSError:
            return []


def _quota(cgroup: Path, *, is_v1: bool) -> Iterator[float]:
    """Yield a cgroup's limit, if it is there and has one."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_v1 else ("cpu.max",)
    try:
        text = " ".join((cgroup / name).read_text() for name in names)
    except OSError:
        return
    quota, period = text.split()
    if quota not in ("max", "-1"):
        yield int(quota) / int(period)


def threads_left(cores: int, quota: float, others: float, now: int = 1) -> int:
    """Return how many threads there is room for, at least 1.

    One more than now needs 0.6 of a core, and one stays while it has 0.4 of a core: a load between
    the two changes nothing.

    Args:
        cores: how many this process may run on.
        quota: how many cores' time it may use.
        others: how many cores' time other processes use.
        now: how many threads there are.
    """
    left = min(cores - others, quota)
    return max(1, int(left + 0.4), min(now, int(left + 0.6)))


class CoreWatch:
    """Tells how many threads to use, and changes that while the machine's load changes.

    Once a second it measures what other processes use. It gives up threads at once, and takes more
    when two seconds in a row have room for them.
    """

    def __init__(self, asked: int | None, machine: Machine | None = None) -> None:
        """Begin to watch.

        Args:
            asked: how many threads to use whatever the load; None: as many as have room.
            machine: where the figures come from; None is this one.
        """
        self._asked = asked
        self._machine = machine or Machine()
        self._cores = self._machine.cores()
        self._room = self._last = threads_left(len(self._cores), self._machine.quota(), 0.0)
        self._begin()

    def threads(self) -> Threads:
        """Return what to use now; cheap enough for every frame."""
        if monotonic() - self._since >= _PERIOD:
            self._look()
        count = self._asked or self._room
        return Threads(count, spin=1 < count <= self._room)

    def _begin(self) -> None:
        self._cores = self._machine.cores()
        self._since, self._own = monotonic(), process_time()
        self._busy = self._machine.busy_seconds(self._cores)

    def _look(self) -> None:
        """Take in what the machine did since the last look."""
        machine, seconds = self._machine, monotonic() - self._since
        busy = machine.busy_seconds(self._cores) - self._busy
        others = max(0.0, busy - (process_time() - self._own)) / seconds
        self._begin()
        found = threads_left(len(self._cores), machine.quota(), others, self._room)
        if found < self._room or found == self._last:
            self._room = found
        self._last = found
