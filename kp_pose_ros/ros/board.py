# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The machine: its name, and its temperatures, power, clocks and memory, as far as available.

The paths are those of Linux; those of a Jetson are the same since JetPack 5.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from kp_pose_ros.ros.nvml import gpu_name, gpu_readings

_ROOT = Path("/")
_JETSON_GPUS = {"gpu", "ga10b", "gv11b", "gp10b"}  # their names in device trees
_PATIENCE = 5.0  # seconds that nvpmodel may take


def readings(root: Path = _ROOT) -> dict[str, float]:
    """Return the sensor values that can be read instantly, by name and unit."""
    found = {f"temperature {name} (C)": each for name, each in temperatures(root).items()}
    if (clock := jetson_gpu_clock(root)) is not None:
        found["clock GPU (MHz)"] = clock
    found |= gpu_readings()
    if (memory := available_memory(root)) is not None:
        found["available memory (MB)"] = memory / 2**20
    return found


def slow_readings(root: Path = _ROOT) -> dict[str, float]:
    """Return the power of each rail of a Jetson, which takes tens of milliseconds to read."""
    return {f"power {rail} (W)": each for rail, each in powers(root).items()}


def temperatures(root: Path = _ROOT) -> dict[str, float]:
    """Return degrees Celsius by the name of the sensor; those that do not respond are left out."""
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        try:
            found[_text(zone / "type")] = int(_text(zone / "temp")) / 1000
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return found


def powers(root: Path = _ROOT) -> dict[str, float]:
    """Return watts by the name of the rail, as a Jetson's INA3221 monitors measure them.

    VDD_IN is the whole module, if the board has it.
    """
    found = {}
    for label in sorted(root.glob("sys/class/hwmon/hwmon*/in[123]_label")):
        folder, channel = label.parent, label.name.removeprefix("in").removesuffix("_label")
        try:
            if _text(folder / "name") == "ina3221":
                millivolts = int(_text(folder / f"in{channel}_input"))
                milliamperes = int(_text(folder / f"curr{channel}_input"))
                found[_text(label)] = millivolts * milliamperes * 1e-6
        except (OSError, ValueError):  # a channel that is not connected
            continue
    return found


def jetson_gpu_clock(root: Path = _ROOT) -> float | None:
    """Return the MHz of a Jetson's GPU; None elsewhere."""
    for folder in sorted(root.glob("sys/class/devfreq/*")):
        try:
            if _text(folder / "device/of_node/name") in _JETSON_GPUS:
                return int(_text(folder / "cur_freq")) * 1e-6
        except (OSError, ValueError):
            continue
    return None


def available_memory(root: Path = _ROOT) -> int | None:
    """Return the memory available to programs in bytes; None if unknown.

    A Jetson's GPU has no memory of its own: it uses this.
    """
    try:
        lines = _fields(root / "proc/meminfo")
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def board_name(root: Path = _ROOT) -> str:
    """Return the name of the machine: of the board, else of its processor and GPU."""
    with suppress(OSError):
        return _text(root / "proc/device-tree/model")
    processor = _fields(root / "proc/cpuinfo").get("model name", platform.machine())
    return f"{os.cpu_count()} x {processor}, {gpu_name() or 'no NVIDIA GPU'}"


def power_mode() -> str | None:
    """Return a Jetson's power mode from `nvpmodel`, such as 15W or MAXN; None elsewhere."""
    try:
        done = subprocess.run(
            ["nvpmodel", "-q"], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    mode = re.search(r"NV Power Mode:\s*(\S+)", done.stdout)
    return mode[1] if mode else None


def _text(file: Path) -> str:
    return file.read_text(errors="replace").strip("\0 \n")


def _fields(file: Path) -> dict[str, str]:
    """Return the values after each `name :` in a file of /proc; the last one of repeated names."""
    pairs = (line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
