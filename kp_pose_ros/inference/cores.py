# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many threads a network on the CPU has: as many as the machine has cores left for it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from time import monotonic, process_time

_PERIOD = 1.0  # seconds over which the machine's load is measured
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True, order=True)
class Threads:
    """The threads that a network is opened with, ordered by how much of the cores they take."""

    count: int  # how many threads, at least 1
    # whether they spin while they wait for each other. That is faster if each has a core of its
    # own; if they share cores, it is half as fast and takes twice the CPU time
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
        """Return the seconds that `cores` have worked so far, for us or another virtual machine."""
        names, ticks = {f"cpu{number}" for number in cores}, 0
        for name, *fields in filter(None, map(str.split, self._lines("proc/stat"))):
            if name in names:
                # user nice system idle iowait irq softirq steal; a sandbox may give fewer
                times = [int(each) for each in fields[:8]]
                ticks += sum(times) - sum(times[3:5])
        return ticks / _TICKS

    def _quotas(self) -> Iterator[float]:
        """Yield the limit of each cgroup that this process is in, of version 1 and 2."""
        for line in self._lines("proc/self/cgroup"):
            controllers, _, path = line.partition(":")[2].partition(":")
            if controllers and "cpu" not in controllers.split(","):
                continue
            # Version 1 is mounted under all its controllers, in any order, and linked under each.
            mounts = {controllers, "cpu"} if controllers else {""}
            # A container may see the names of its host's cgroups, but has its own at the top.
            folders = (found := PurePosixPath("/", path), *found.parents)
            for mount, folder in product(mounts, folders):
                cgroup = self._root / "sys/fs/cgroup" / mount / folder.relative_to("/")
                yield from _quota(cgroup, is_v1=bool(controllers))

    def _lines(self, name: str) -> list[str]:
        """Return a file's lines; none if this kernel or sandbox does not have it."""
        try:
            return (self._root / name).read_text("utf-8", "replace").splitlines()
        except OSError:
            return []


def _quota(cgroup: Path, *, is_v1: bool) -> Iterator[float]:
    """Yield a cgroup's limit, if it is there, readable, and one."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_v1 else ("cpu.max",)
    with suppress(OSError, ValueError, ZeroDivisionError):  # ValueError: "max", or cut short
        text = " ".join((cgroup / name).read_text() for name in names)
        quota, period = map(int, text.split())
        if quota > 0:  # -1: no limit
            yield quota / period


def threads_for(
    cores: int, quota: float, others: float, now: Threads = ONE, asked: int | None = None
) -> Threads:
    """Return the threads that there is room for.

    Another thread pays off from a third of a core on; with less, the others only wait for it. They
    spin if no more than a third of a core is missing. The present threads need a little less room,
    so that a load at a limit changes nothing: every change reopens the network.

    Args:
        cores: how many this process may run on.
        quota: how many cores' time it may use.
        others: how many cores' time other processes use.
        now: the present threads.
        asked: how many to use in any case.
    """
    left = min(cores - others, quota)
    count = asked or max(1, int(left + 0.65), min(now.count, int(left + 0.85)))
    return Threads(count, spin=count > 1 and left >= count - (0.5 if now.spin else 0.3))


class CoreWatch:
    """Says how many threads to use as the machine's load changes.

    Once a second it measures what other processes use. It gives up threads at once, and takes more
    if there was room for them in two measurements in a row.

    Attributes:
        spare: threads to keep ready for a sudden load; None if there are none but the present.
    """

    def __init__(
        self,
        asked: int | None,
        machine: Machine | None = None,
        *,
        follows: bool = True,
        spins: bool = True,
    ) -> None:
        """Begin to watch.

        Args:
            asked: how many threads to use whatever the load; None: as many as there is room for.
            machine: where the figures come from; None: this machine.
            follows: whether the threads follow the load later, too. Not where the network runs on a
                GPU, which takes seconds to minutes and memory to open it once more.
            spins: whether the runtime can let threads spin.
        """
        self.spare = ONE if asked is None and follows else None
        self._asked, self._follows, self._spins = asked, follows, spins
        self._machine = machine or Machine()
        self._begin()
        self._threads = self._last = self._find(others=0.0, now=ONE)

    def threads(self) -> Threads:
        """Return what to use now; cheap enough for every frame."""
        if self._follows and monotonic() - self._since >= _PERIOD:
            self._look()
        return self._threads

    def _begin(self) -> None:
        self._cores = self._machine.cores()
        self._since, self._own = monotonic(), process_time()
        self._busy = self._machine.busy_seconds(self._cores)

    def _look(self) -> None:
        """Measure what the machine has done since the last time."""
        seconds = monotonic() - self._since
        busy = self._machine.busy_seconds(self._cores) - self._busy
        others = max(0.0, busy - (process_time() - self._own)) / seconds
        self._begin()
        found = self._find(others, self._threads)
        if found < self._threads or found == self._last:
            self._threads = found
        self._last = found

    def _find(self, others: float, now: Threads) -> Threads:
        found = threads_for(len(self._cores), self._machine.quota(), others, now, self._asked)
        return Threads(found.count, spin=found.spin and self._spins)
