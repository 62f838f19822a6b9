# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
from pathlib import Path

import pytest

from kp_pose_ros.ros.board import gpu_name, gpu_readings

SOURCE = Path(__file__).parent / "made_up_nvml.cpp"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Compiler of an NVML of our own making: returns its path."""

    def build(*options):
        path = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
        subprocess.run(["g++", "-shared", "-fPIC", *options, "-o", path, SOURCE], check=True)
        return str(path)

    return build


def test_what_a_gpu_tells_is_read_and_what_it_does_not_tell_left_out(library):
    assert gpu_readings(library()) == {
        "clock GPU (MHz)": 1755,
        "temperature GPU (C)": 62,
        "memory GPU in use (MB)": 1024,
    }


def test_a_gpu_has_a_name(library):
    assert gpu_name(library()) == "Made-up RTX"


def test_a_driver_without_a_gpu_tells_nothing(library):
    without = library("-DNO_GPU")
    assert gpu_readings(without) == {}
    assert gpu_name(without) is None


def test_a_machine_without_a_driver_tells_nothing():
    assert gpu_readings("libno-such-library.so.1") == {}
    assert gpu_name("libno-such-library.so.1") is None
