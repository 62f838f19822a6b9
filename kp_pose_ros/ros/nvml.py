# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values of the first NVIDIA GPU, through NVML, which comes with every driver."""

from __future__ import annotations

import ctypes
from functools import cache

_LIBRARY = "libnvidia-ml.so.1"

# From nvml.h.
_SUCCESS = 0
_TEMPERATURE_GPU = 0
_CLOCK_SM = 1
_NAME_BYTES = 96


class _Memory(ctypes.Structure):
    """nvmlMemory_t: bytes."""

    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


def gpu_name(library: str = _LIBRARY) -> str | None:
    """Return the first GPU's name; None where there is no NVML or no GPU."""
    if (opened := _open(library)) is None:
        return None
    nvml, device = opened
    name = ctypes.create_string_buffer(_NAME_BYTES)
    if nvml.nvmlDeviceGetName(device, name, _NAME_BYTES) != _SUCCESS:
        return None
    return name.value.decode(errors="replace")


def gpu_readings(library: str = _LIBRARY) -> dict[str, float]:
    """Return the available values of the first GPU, by name and unit."""
    if (opened := _open(library)) is None:
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
def _open(library: str) -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """Return NVML and the first GPU's handle, for the rest of the process."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return None
    device = ctypes.c_void_p()
    if (
        nvml.nvmlInit_v2() != _SUCCESS
        or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)) != _SUCCESS
    ):
        return None
    return nvml, device
