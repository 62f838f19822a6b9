# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kp_pose_ros.ros.fast_dds import large_images_environment

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


@pytest.mark.usefixtures("fast_dds")
def test_the_node_publishes_with_the_profile(start_node):
    node = start_node().wait_until_ready()
    maps = Path(f"/proc/{node.process.pid}/maps").read_text()
    segments = [line for line in maps.splitlines() if "/dev/shm/fast" in line]
    sizes = [
        int(line.split("-")[1].split()[0], 16) - int(line.split("-")[0], 16) for line in segments
    ]
    assert max(sizes) > 30 * 2**20
