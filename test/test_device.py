# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from kp_pose_ros.device import available_memory, temperatures


def test_every_sensor_that_answers_is_read(tmp_path):
    for index, (name, reading) in enumerate(
        (("cpu-thermal", "48500\n"), ("gpu-thermal", "51000\n"), ("cv0-thermal", "off\n"))
    ):
        zone = tmp_path / f"thermal_zone{index}"
        zone.mkdir()
        (zone / "type").write_text(f"{name}\n")
        (zone / "temp").write_text(reading)
    (tmp_path / "thermal_zone9").mkdir()  # one without files
    assert temperatures(tmp_path) == {"cpu-thermal": 48.5, "gpu-thermal": 51.0}


def test_a_machine_without_sensors_has_no_temperatures(tmp_path):
    assert temperatures(tmp_path / "none") == {}


def test_available_memory_is_in_bytes(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 100 kB\nMemAvailable:    60 kB\n")
    assert available_memory(file) == 60 * 1024


def test_memory_that_is_not_told_is_not_known(tmp_path):
    file = tmp_path / "meminfo"
    file.write_text("MemTotal: 100 kB\n")
    assert available_memory(file) is None
    assert available_memory(tmp_path / "none") is None
