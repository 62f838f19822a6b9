# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kp_pose_ros.ros.large_images import VARIABLES, large_images_environment


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    for name in (*VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("distribution", "variable"), [("jazzy", VARIABLES[1]), ("kilted", VARIABLES[0])]
)
def test_the_profile_goes_by_the_name_that_the_distribution_knows(
    monkeypatch, distribution, variable
):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    environment = large_images_environment()
    assert Path(environment[variable]).is_file()
    assert len(environment.keys() & set(VARIABLES)) == 1


def test_the_users_profile_stays(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    monkeypatch.setenv(VARIABLES[0], "my.xml")
    assert large_images_environment()[VARIABLES[0]] == "my.xml"


def test_the_users_transports_stay(monkeypatch):
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    assert not large_images_environment().keys() & set(VARIABLES)


def test_the_node_publishes_with_the_profile(start_node):
    node = start_node().wait_until_ready()
    maps = Path(f"/proc/{node.process.pid}/maps").read_text()
    segments = [line for line in maps.splitlines() if "/dev/shm/fastdds_" in line]
    sizes = [
        int(line.split("-")[1].split()[0], 16) - int(line.split("-")[0], 16) for line in segments
    ]
    assert max(sizes) > 30 * 2**20
