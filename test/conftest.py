# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import cv2
import pytest

DEMO = Path(__file__).parent.parent / "build" / "demo"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep prepared graphs of tests out of the user's cache, those of child processes, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KP_POSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("KP_POSE_MODELS", raising=False)
        yield


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
