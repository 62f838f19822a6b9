# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path
from threading import get_native_id

import pytest

from kp_pose_ros.ros.process import large_images_environment, prioritize_reading

VARIABLES = {"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"}


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    for name in (*VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("package", "variable"),
    [
        pytest.param("fastrtps", "FASTRTPS_DEFAULT_PROFILES_FILE", id="Fast DDS 2: until Jazzy"),
        pytest.param("fastdds", "FASTDDS_DEFAULT_PROFILES_FILE", id="Fast DDS 3: since Kilted"),
    ],
)
def test_the_profile_goes_by_the_name_that_fast_dds_knows(monkeypatch, tmp_path, package, variable):
    (tmp_path / "share" / package).mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/overlay:{tmp_path}")
    environment = large_images_environment()
    assert Path(environment[variable]).is_file()
    assert len(environment.keys() & VARIABLES) == 1


def test_the_users_profile_stays(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "my.xml")
    assert {large_images_environment()[name] for name in VARIABLES} == {"my.xml"}


def test_the_users_transports_stay(monkeypatch):
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    assert not large_images_environment().keys() & VARIABLES


@pytest.mark.parametrize(
    ("distribution", "is_used"),
    [
        pytest.param("humble", False, id="Humble keeps the profile's transports to the network"),
        pytest.param("jazzy", True, id="Jazzy limits discovery, whatever the transports"),
    ],
)
def test_a_node_that_is_to_stay_on_this_machine_does(monkeypatch, distribution, is_used):
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert bool(large_images_environment().keys() & VARIABLES) == is_used


@pytest.fixture(scope="module")
def node(start_node, tiny):
    return start_node(model=tiny).wait_until_ready()


@pytest.mark.usefixtures("fast_dds")
def test_the_node_publishes_with_the_profile(node):
    maps = Path(f"/proc/{node.process.pid}/maps").read_text()
    segments = [line for line in maps.splitlines() if "/dev/shm/fast" in line]
    sizes = [
        int(line.split("-")[1].split()[0], 16) - int(line.split("-")[0], 16) for line in segments
    ]
    assert max(sizes) > 30 * 2**20


class Log(list):
    """A logger that keeps its messages."""

    info = warning = list.append


def scheduled_first(process):
    """Names of a process's threads that are not scheduled as usual."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return {
        (each / "comm").read_text().strip()
        for each in threads
        if os.sched_getscheduler(int(each.name)) != os.SCHED_OTHER
    }


@pytest.mark.usefixtures("fast_dds")
def test_threads_are_scheduled_as_usual_unless_the_parameter_says_otherwise(node):
    assert scheduled_first(node.process.pid) == set()


@pytest.mark.usefixtures("fast_dds")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root surely has the right")
def test_the_parameter_gives_threads_that_read_shared_memory_a_priority(start_node, tiny):
    node = start_node(model=tiny, receive_priority=3).wait_until_ready()
    first = scheduled_first(node.process.pid)
    assert first
    assert all(name.startswith("dds.shm.") for name in first)
    assert node.log_lines("have real-time priority 3")


@pytest.fixture
def threads(tmp_path):
    """A folder of threads as in /proc: one that reads, and one that has just ended."""
    thread = tmp_path / str(get_native_id())
    thread.mkdir()
    (thread / "comm").write_text("dds.shm.7400\n")
    (tmp_path / "1").mkdir()
    return tmp_path


def test_without_the_right_to_it_a_warning_says_how_to_get_it(threads, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    log = Log()
    prioritize_reading(3, log, threads)
    (line,) = log
    assert "raise its limit rtprio" in line


def test_without_such_threads_a_warning_says_so(threads):
    (threads / str(get_native_id()) / "comm").write_text("python3\n")
    log = Log()
    prioritize_reading(3, log, threads)
    (line,) = log
    assert "has no effect" in line
