# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess
from pathlib import Path

import pytest

from kp_pose_ros.ros.board import gpu_name, gpu_readings

SOURCE = Path(__file__).parent / "made_up_nvml.cpp"
NONE = "libno-such-library.so.1"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(["g++", "-shared", "-fPIC", "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def library(compiled, tmp_path, monkeypatch):
    """Maker of an NVML and a CUDA driver with so many GPUs in a new file: returns its path."""

    def make(gpus):
        monkeypatch.setenv("MADE_UP_GPUS", str(gpus))
        return str(shutil.copy(compiled, tmp_path))

    return make


def test_what_a_gpu_tells_is_read_and_what_it_does_not_tell_left_out(library):
    nvml = library(1)
    assert gpu_name(nvml, NONE) == "Made-up GTX"
    assert gpu_readings(nvml, NONE) == {
        "clock GPU (MHz)": 1755,
        "temperature GPU (C)": 41,
        "memory GPU in use (MB)": 1024,
    }


@pytest.mark.parametrize(
    ("order", "visible", "name"),
    [
        pytest.param(None, None, "Made-up RTX", id="the fastest first"),
        pytest.param("PCI_BUS_ID", None, "Made-up GTX", id="by bus"),
        pytest.param(None, "1,0", "Made-up GTX", id="the second by its index"),
        pytest.param("PCI_BUS_ID", "1", "Made-up RTX", id="the second of the bus"),
        pytest.param(None, "GPU-11", "Made-up GTX", id="by its UUID"),
        pytest.param(None, "MIG-3333", "Made-up GTX", id="a part of it"),
        pytest.param(None, "", None, id="none"),
    ],
)
def test_of_two_gpus_the_one_that_cuda_uses_is_read(library, monkeypatch, order, visible, name):
    for variable, value in {"CUDA_DEVICE_ORDER": order, "CUDA_VISIBLE_DEVICES": visible}.items():
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    both = library(2)
    assert gpu_name(both, both) == name
    temperature = {"Made-up GTX": 41, "Made-up RTX": 62, None: None}[name]
    assert gpu_readings(both, both).get("temperature GPU (C)") == temperature


def test_two_gpus_without_cuda_tell_nothing(library):
    assert gpu_name(library(2), NONE) is None


def test_a_driver_without_a_gpu_tells_nothing(library):
    without = library(0)
    assert gpu_readings(without, without) == {}
    assert gpu_name(without, without) is None


def test_a_machine_without_a_driver_tells_nothing():
    assert gpu_readings(NONE) == {}
    assert gpu_name(NONE) is None
