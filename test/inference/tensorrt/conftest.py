# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import pytest
from simulated_gpu import engines, kernel_on_cpu, machine

__all__ = ["engines", "kernel_on_cpu", "machine"]


@pytest.fixture(scope="session")
def calibration_pictures(tmp_path_factory, demo_photo):
    """A folder of pictures of people; too few for good work."""
    folder = tmp_path_factory.mktemp("calibration")
    for name in ("bus.jpg", "zidane.jpg"):
        cv2.imwrite(str(folder / name), demo_photo(name))
    return folder
