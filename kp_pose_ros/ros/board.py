# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors of the board and its GPU: temperature, power, clocks, memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path

_NVML, _CUDA = "libnvidia-ml.so.1", "libcuda.so.1"

# From nvml.h and cuda.h.
_SUCCESS = 0
_TEMPERATURE_GPU = 0
_CLOCK_SM = 1
_NAME_BYTES = 96
_BUS_ID_BYTES = 32


class _Memory(ctypes.Structure):
    """nvmlMemory_t: bytes."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


def gpu_name(library: str = _NVML, cuda: str = _CUDA) -> str | None:
    """Return the name of the GPU; None where there is no NVML or no GPU.

    As in `gpu_readings`, of several GPUs it is CUDA's first one, which the engine runs on.
    """
    if (opened := _open(library, cuda)) is None:
        return None
    nvml, device = opened
    name = ctypes.create_string_buffer(_NAME_BYTES)
    if nvml.nvmlDeviceGetName(device, name, _NAME_BYTES) != _SUCCESS:
        return None
    return name.value.decode(errors="replace")


def gpu_readings(library: str = _NVML, cuda: str = _CUDA) -> dict[str, float]:
    """Return those readings that the GPU has, by name and unit."""
    if (opened := _open(library, cuda)) is None:
        return {}
    nvml, device = opened
    numbers = {
        "power GPU (W)": (nvml.nvmlDeviceGetPowerUsage, (), 1e-3),
        "clock GPU (MHz)": (nvml.nvmlDeviceGetClockInfo, (_CLOCK_SM,), 1),
        "temperature GPU (C)": (nvml.nvmlDeviceGetTemperature, (_TEMPERATURE_GPU,), 1),
    }
    found, number, memory = {}, ctypes.c_uint(), _Memory()
    for name, (call, arguments, scale) in numbers.items():
        if call(device, *arguments, ctypes.byref(number)) == _SUCCESS:
            found[name] = number.value * scale
    if nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == _SUCCESS:
        found["memory GPU in use (MB)"] = memory.used / 2**20
    return found


@cache
def _open(library: str, cuda: str) -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """Return NVML and the handle of the GPU; both stay open until the process ends."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return None
    count, device = ctypes.c_uint(), ctypes.c_void_p()
    if (
        nvml.nvmlInit_v2() != _SUCCESS
        or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != _SUCCESS
    ):
        return None
    if count.value == 1:  # without CUDA, which the process may not need
        status = nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device))
    else:
        status = nvml.nvmlDeviceGetHandleByPciBusId_v2(_bus_id(cuda), ctypes.byref(device))
    return (nvml, device) if status == _SUCCESS else None


def _bus_id(library: str) -> bytes:
    """Return the PCI bus id of CUDA's first device; empty if there is none.

    Only CUDA can tell: its order depends on CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, and NVML's
    "may not correlate" with it (nvml.h). For a part of a GPU (MIG), this is the whole GPU's.
    """
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return b""
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_BUS_ID_BYTES)
    found = (
        cuda.cuInit(0) == _SUCCESS
        and cuda.cuDeviceGet(ctypes.byref(device), 0) == _SUCCESS
        and cuda.cuDeviceGetPCIBusId(name, _BUS_ID_BYTES, device) == _SUCCESS
    )
    return name.value if found else b""


_ROOT = Path("/")
_JETSON_GPUS = {"gpu", "ga10b", "gv11b", "gp10b"}  # their names in device trees
_PATIENCE = 5.0  # seconds that nvpmodel may take


def readings(root: Path = _ROOT) -> dict[str, float]:
    """Return the readings that cost no time, by name and unit."""
    found = {f"temperature {name} (C)": each for name, each in temperatures(root).items()}
    if (clock := jetson_gpu_clock(root)) is not None:
        found["clock GPU (MHz)"] = clock
    found |= gpu_readings()
    if (memory := available_memory(root)) is not None:
        found["available memory (MB)"] = memory / 2**20
    return found


def slow_readings(root: Path = _ROOT) -> dict[str, float]:
    """Return the power of each rail, which takes a Jetson tens of milliseconds to measure."""
    return {f"power {rail} (W)": each for rail, each in powers(root).items()}


def temperatures(root: Path = _ROOT) -> dict[str, float]:
    """Return the temperature in degrees Celsius of each sensor that answers, by its name."""
    found = {}
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*")):
        try:
            found[_text(zone / "type")] = int(_text(zone / "temp")) / 1000
        except (OSError, ValueError):  # a sensor that is switched off
            continue
    return found


def powers(root: Path = _ROOT) -> dict[str, float]:
    """Return watts by the name of the rail, as a Jetson's INA3221 monitors measure them.

    VDD_IN is the whole module, where a board has it.
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
    """Return the clock of a Jetson's GPU in MHz; None elsewhere."""
    for folder in sorted(root.glob("sys/class/devfreq/*")):
        try:
            if _text(folder / "device/of_node/name") in _JETSON_GPUS:
                return int(_text(folder / "cur_freq")) * 1e-6
        except (OSError, ValueError):
            continue
    return None


def available_memory(root: Path = _ROOT) -> int | None:
    """Return how many bytes of memory are free for programs; None if that is not known.

    A Jetson's GPU has no memory of its own: it uses this.
    """
    try:
        lines = _fields(root / "proc/meminfo")
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def board_name(root: Path = _ROOT) -> str:
    """Return the board's own name, or else the names of the processor and the GPU."""
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
    """Return the `name : value` lines of a file of /proc; of equal names, the last one."""
    pairs = (line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
