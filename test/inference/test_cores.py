# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from kp_pose_ros.inference import cores
from kp_pose_ros.inference.cores import ONE, CoreWatch, Machine, Threads, threads_for

SLEEPING, SPINNING = Threads(2, spin=False), Threads(2, spin=True)


@pytest.mark.parametrize(
    ("cores", "quota", "others", "expected"),
    [
        pytest.param(2, math.inf, 0.0, 2, id="an idle machine"),
        pytest.param(1, math.inf, 0.0, 1, id="one core"),
        pytest.param(8, math.inf, 3.0, 5, id="the cores that others leave"),
        pytest.param(8, math.inf, 7.9, 1, id="none is left"),
        pytest.param(2, math.inf, 6.0, 1, id="an overload"),
        pytest.param(2, math.inf, 0.6, 2, id="a busy camera's driver leaves enough"),
        pytest.param(2, math.inf, 1.0, 1, id="one core is taken"),
        pytest.param(8, 3.0, 0.0, 3, id="a quota"),
        pytest.param(8, 0.5, 0.0, 1, id="a quota of half a core"),
        pytest.param(8, 2.5, 0.0, 3, id="a quota between two and three"),
        pytest.param(8, 2.0, 3.0, 2, id="others work beside a quota"),
        pytest.param(8, 4.0, 6.0, 2, id="others leave less than the quota"),
    ],
)
def test_there_is_a_thread_for_each_core_that_is_left(cores, quota, others, expected):
    assert threads_for(cores, quota, others).count == expected


@pytest.mark.parametrize(
    ("others", "now", "expected"),
    [
        pytest.param(0.2, ONE, SPINNING, id="next to nothing"),
        pytest.param(0.4, SPINNING, SPINNING, id="at the edge they go on spinning"),
        pytest.param(0.4, SLEEPING, SLEEPING, id="or sleeping"),
        pytest.param(0.6, SPINNING, SLEEPING, id="two share their cores with others"),
        pytest.param(0.75, SLEEPING, SLEEPING, id="at the edge two stay two"),
        pytest.param(0.75, ONE, ONE, id="and one stays one"),
        pytest.param(0.9, SLEEPING, ONE, id="the second one would only be waited for"),
    ],
)
def test_two_cores_are_shared_by_how_much_others_use(others, now, expected):
    assert threads_for(2, math.inf, others, now) == expected


class MadeUpMachine:
    """Cores, a quota, and other processes that use some of them."""

    def __init__(self, clock, cores=4):
        self.others, self.limit, self.numbers = 0.0, math.inf, set(range(cores))
        self._clock, self._busy, self._seen = clock, 0.0, 0.0

    def cores(self):
        return self.numbers

    def quota(self):
        return self.limit

    def busy_seconds(self, cores):
        now = self._clock()
        self._busy += (now - self._seen) * self.others
        self._seen = now
        return self._busy


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cores, "monotonic", clock)
    monkeypatch.setattr(cores, "process_time", lambda: 0.0)
    return clock


def counts(watch, clock, seconds):
    found = []
    for _ in range(seconds):
        clock.now += 1.0
        found.append(watch.threads().count)
    return found


def test_threads_are_given_up_at_once_and_taken_back_after_two_seconds(clock):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(None, machine)
    assert counts(watch, clock, 2) == [4, 4]
    machine.others = 3.0
    assert counts(watch, clock, 2) == [1, 1]
    machine.others = 0.0
    assert counts(watch, clock, 3) == [1, 4, 4]


def test_threads_of_a_network_elsewhere_stay_as_they_are(clock):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(None, machine, follows=False)
    machine.others = 3.0
    assert counts(watch, clock, 3) == [4, 4, 4]
    assert watch.spare is None


def test_threads_of_a_runtime_that_knows_no_spinning_do_not_spin(clock):
    assert CoreWatch(None, MadeUpMachine(clock), spins=False).threads() == Threads(4, spin=False)


def test_a_load_at_the_edge_changes_nothing(clock):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(None, machine)
    found = []
    for others in (0.25, 0.45, 0.25, 0.45, 0.25, 0.45):
        machine.others = others
        counts(watch, clock, 1)
        found.append(watch.threads())
    assert set(found) == {Threads(4, spin=True)}


def test_frames_within_a_second_read_the_kernels_figures_once(clock):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(None, machine)
    machine.others = 3.0
    clock.now = 0.99
    assert watch.threads().count == 4
    clock.now = 1.0
    assert watch.threads().count == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"numbers": {0}}, 1, id="pinned to one core"),
        pytest.param({"limit": 2.0}, 2, id="a container gets a quota"),
    ],
)
def test_what_this_process_may_use_changes_while_it_runs(clock, change, expected):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(None, machine)
    vars(machine).update(change)
    assert counts(watch, clock, 2) == [expected] * 2


@pytest.mark.parametrize(
    ("asked", "others", "expected"),
    [
        pytest.param(None, 0.0, Threads(4, spin=True), id="each has a core"),
        pytest.param(2, 1.0, Threads(2, spin=True), id="two that have a core"),
        pytest.param(4, 2.0, Threads(4, spin=False), id="more than there are cores left"),
        pytest.param(8, 0.0, Threads(8, spin=False), id="more than there are cores"),
        pytest.param(1, 0.0, Threads(1, spin=False), id="one waits for no other"),
    ],
)
def test_threads_spin_only_where_each_has_a_core(clock, asked, others, expected):
    machine = MadeUpMachine(clock)
    watch = CoreWatch(asked, machine)
    machine.others = others
    counts(watch, clock, 1)
    assert watch.threads() == expected


def test_what_this_process_uses_itself_is_no_load(clock, monkeypatch):
    machine = MadeUpMachine(clock)
    machine.others = 3.0
    monkeypatch.setattr(cores, "process_time", lambda: clock.now * 3.0)
    assert set(counts(CoreWatch(None, machine), clock, 3)) == {4}


@pytest.mark.parametrize(
    ("memberships", "files", "expected"),
    [
        pytest.param("0::/", {}, math.inf, id="no limit file"),
        pytest.param("0::/a", {"a/cpu.max": "max 100000"}, math.inf, id="version 2, no limit"),
        pytest.param("0::/a", {"a/cpu.max": "150000 100000"}, 1.5, id="version 2"),
        pytest.param(
            "0::/a/b",
            {"a/cpu.max": "100000 100000", "a/b/cpu.max": "300000 100000"},
            1.0,
            id="a group further up has less",
        ),
        pytest.param(
            "0::/host/path", {"cpu.max": "50000 100000"}, 0.5, id="a container's own is at the top"
        ),
        pytest.param(
            "4:memory:/a\n3:cpu,cpuacct:/a\n0::/",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            2.0,
            id="version 1",
        ),
        pytest.param(
            "1:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            math.inf,
            id="version 1, no limit",
        ),
        pytest.param(
            "3:cpuacct,cpu:/",
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            0.5,
            id="version 1, mounted under another order of its controllers",
        ),
        pytest.param("0::/..", {"cpu.max": "50000 100000"}, 0.5, id="a path above our root"),
        pytest.param("0::/a", {"a/cpu.max": ""}, math.inf, id="an empty limit"),
        pytest.param("0::/a", {"a/cpu.max": "max"}, math.inf, id="a limit without a period"),
        pytest.param("0::/a", {"a/cpu.max": "50000 0"}, math.inf, id="a period of 0"),
        pytest.param("0::/a", {"a/cpu.max/x": ""}, math.inf, id="a folder in place of the limit"),
        pytest.param("0::/\udcff", {"cpu.max": "50000 100000"}, 0.5, id="a path that is no text"),
        pytest.param("sandbox\n", {"cpu.max": "50000 100000"}, 0.5, id="a line of another form"),
    ],
)
def test_the_quota_is_the_smallest_of_all_groups(tmp_path, memberships, files, expected):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{memberships}\n", errors="surrogateescape")
    for name, content in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
    assert Machine(tmp_path).quota() == expected


def test_the_work_of_the_named_cores_counts_and_waiting_does_not(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(
        "cpu  9 9 9 9 9 9 9 9 0 0\n"
        "cpu0 100 10 50 9000 400 5 6 29 0 0\n"
        "cpu1 100 0 0 9000 400 0 0 0 0 0\n"
        "cpu2 700 0 0 9000 400 0 0 0 0 0\n"
        "intr 1 2 3\n"
    )
    ticks = cores._TICKS
    assert Machine(tmp_path).busy_seconds({0, 1}) == pytest.approx((200 + 100) / ticks)


@pytest.mark.parametrize(
    ("stat", "ticks"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("cpu  7 7 7 7 7 7 7 7\n", 0, id="only the sum of all cores"),
        pytest.param("\n\ncpu0 9 0 0 70 0 0 0 0\n", 9, id="empty lines"),
        pytest.param("cpu0 9 1 2 70\n", 12, id="four columns"),
        pytest.param("cpu0 9 1 2 70 5 1 1\n", 14, id="seven columns"),
        pytest.param("cpu0\n", 0, id="no columns"),
        pytest.param("cpu0 9 0 0 0 0 0 0 0\n\udcff\n", 9, id="bytes that are no text"),
    ],
)
def test_a_sandbox_may_give_less_of_the_kernels_figures(tmp_path, stat, ticks):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(stat, errors="surrogateescape")
    assert Machine(tmp_path).busy_seconds({0, 1}) == pytest.approx(ticks / cores._TICKS)


def test_a_sandbox_without_the_kernels_files_has_no_load_and_no_quota(tmp_path):
    machine = Machine(tmp_path)
    assert machine.busy_seconds({0}) == 0
    assert machine.quota() == math.inf
    assert CoreWatch(None, machine).threads().count == len(machine.cores())


def test_this_machine_has_cores_and_works():
    machine = Machine()
    assert machine.cores()
    assert machine.quota() > 0
    assert machine.busy_seconds(machine.cores()) > 0
