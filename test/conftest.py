# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
from ros_fixtures import bus, fast_dds, peer, ros_node, spin, start_node, start_program, tiny

__all__ = ["bus", "fast_dds", "peer", "ros_node", "spin", "start_node", "start_program", "tiny"]

HERE = Path(__file__).parent
DEMO = HERE.parent / "build" / "demo"
OF_NODES = ["ros", "bench", "demo"]  # folders whose tests need rclpy

if find_spec("rclpy") is None:
    collect_ignore_glob = [f"{folder}/*" for folder in OF_NODES]


def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.path.is_relative_to(HERE / folder) for folder in OF_NODES):
            item.add_marker("ros")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep prepared graphs of tests out of the user's cache, those of child processes, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_POSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("KP_POSE_MODELS", raising=False)
        yield


@pytest.fixture
def clock(request, monkeypatch):
    """The time in seconds, clock[0]; it replaces the function that a file names as CLOCK."""
    now = [1000.0]
    monkeypatch.setattr(request.module.CLOCK, lambda: now[0])
    return now


@pytest.fixture(scope="session")
def demo_weights():
    """Path of yolo11n-pose.pt, trained on COCO."""
    path = Path(os.environ.get("KP_POSE_DEMO_WEIGHTS", DEMO / "models" / "yolo11n-pose.pt"))
    if not path.is_file():
        pytest.skip(f"{path} is not there: `make demo` fetches it")
    return path


@pytest.fixture(scope="session")
def demo_photo():
    """Reader of photographs of people: bus.jpg (4 people) and zidane.jpg (2), BGR."""

    def read(name):
        path = DEMO / "photos" / name
        if not path.is_file():
            pytest.skip(f"{path} is not there: `make demo` fetches it")
        return cv2.imread(str(path))

    return read
