# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from kp_pose_ros.ros import board
from kp_pose_ros.ros.board import (
    available_memory,
    board_name,
    jetson_gpu_clock,
    power_mode,
    powers,
    readings,
    slow_readings,
    temperatures,
)

# As on an Orin Nano with JetPack 6: two rails, and one channel that is not connected.
ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/meminfo": "MemTotal:  7802000 kB\nMemAvailable:    6144 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48500\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "51000\n",
    "sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone2/temp": "off\n",
    "sys/class/thermal/thermal_zone9/mode": "enabled\n",
    "sys/class/hwmon/hwmon0/name": "pwmfan\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in1_input": "5000\n",
    "sys/class/hwmon/hwmon1/curr1_input": "1500\n",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon1/in2_input": "5000\n",
    "sys/class/hwmon/hwmon1/curr2_input": "400\n",
    "sys/class/hwmon/hwmon1/in3_label": "NC\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "sys/class/hwmon/hwmon2/name": "nct6798\n",
    "sys/class/hwmon/hwmon2/in1_label": "Vcore\n",
    "sys/class/hwmon/hwmon2/in1_input": "1100\n",
    "sys/class/devfreq/13e10000.host1x/device/of_node/name": "host1x\0",
    "sys/class/devfreq/13e10000.host1x/cur_freq": "1\n",
    "sys/class/devfreq/17000000.gpu/device/of_node/name": "gpu\0",
    "sys/class/devfreq/17000000.gpu/cur_freq": "624750000\n",
}


def root_of(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def orin(tmp_path):
    return root_of(tmp_path, ORIN)


def test_every_sensor_that_answers_is_read(orin):
    assert temperatures(orin) == {"cpu-thermal": 48.5, "gpu-thermal": 51.0}


def test_power_is_current_times_voltage_of_each_connected_rail(orin):
    assert powers(orin) == pytest.approx({"VDD_IN": 7.5, "VDD_CPU_GPU_CV": 2.0})


def test_the_clock_is_that_of_the_gpu(orin):
    assert jetson_gpu_clock(orin) == pytest.approx(624.75)


def test_a_board_is_called_what_it_calls_itself(orin):
    assert board_name(orin) == "NVIDIA Jetson Orin Nano Developer Kit"


def test_another_machine_is_called_by_its_processor(tmp_path):
    cpus = (
        "processor : 0\nmodel name : Chip 3 @ 2.8GHz\n\nprocessor : 1\nmodel name : Chip 3 @ 2.8GHz"
    )
    root = root_of(tmp_path, {"proc/cpuinfo": cpus})
    assert board_name(root).startswith(f"{os.cpu_count()} x Chip 3 @ 2.8GHz, ")


def test_readings_have_their_units(orin, monkeypatch):
    monkeypatch.setattr(board, "gpu_readings", dict)  # of the machine that runs the test
    found = readings(orin)
    assert found["temperature gpu-thermal (C)"] == 51.0
    assert found["clock GPU (MHz)"] == pytest.approx(624.75)
    assert found["available memory (MB)"] == 6
    assert slow_readings(orin)["power VDD_IN (W)"] == pytest.approx(7.5)


def test_a_machine_that_tells_nothing_has_no_numbers(tmp_path):
    assert temperatures(tmp_path) == powers(tmp_path) == {}
    assert jetson_gpu_clock(tmp_path) is available_memory(tmp_path) is None


def test_memory_that_is_not_told_is_not_known(tmp_path):
    assert available_memory(root_of(tmp_path, {"proc/meminfo": "MemTotal: 100 kB\n"})) is None


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        pytest.param("NV Power Mode: 15W\n0", "15W", id="a Jetson"),
        pytest.param("permission denied", None, id="a Jetson that does not tell"),
        pytest.param(None, None, id="no Jetson"),
    ],
)
def test_power_mode_is_what_nvpmodel_says(answer, mode, tmp_path, monkeypatch):
    if answer is not None:
        (tmp_path / "nvpmodel").write_text(f"#!/bin/sh\ntest $1 = -q && echo '{answer}'\n")
        (tmp_path / "nvpmodel").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert power_mode() == mode
