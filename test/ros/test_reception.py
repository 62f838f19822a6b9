# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path
from threading import get_native_id

import pytest

from kp_pose_ros.ros.reception import receive_first


def first_threads(process):
    """The names of those of a process's threads that go before normal ones."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return {
        (each / "comm").read_text().strip()
        for each in threads
        if os.sched_getscheduler(int(each.name)) != os.SCHED_OTHER
    }


@pytest.mark.usefixtures("fast_dds")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root surely has the right")
def test_the_nodes_threads_that_read_shared_memory_go_first(start_node):
    node = start_node().wait_until_ready()
    first = first_threads(node.process.pid)
    assert first
    assert all(name.startswith("dds.shm.") for name in first)


def test_without_the_right_all_stays_as_it_is(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    thread = tmp_path / str(get_native_id())
    thread.mkdir()
    (thread / "comm").write_text("dds.shm.7400\n")
    receive_first(tmp_path)


def test_a_thread_that_has_ended_is_passed_over(tmp_path):
    (tmp_path / "1").mkdir()  # the kernel has taken its files away
    receive_first(tmp_path)
