# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can run the TensorRT engine; imports anywhere."""

from __future__ import annotations

from pathlib import Path

# What a driver puts there, be Python able to use it or not: of a card, of a Jetson's GPU from
# JetPack 6 on and before, and of Windows' driver inside of WSL.
GPU_FILES = tuple(
    map(Path, ("/dev/nvidia0", "/dev/nvgpu", "/dev/nvhost-gpu", "/usr/lib/wsl/lib/libcuda.so.1"))
)


def has_gpu() -> bool:
    """Return whether this machine, or what a container sees of it, has an NVIDIA GPU."""
    return any(file.exists() for file in GPU_FILES)


def why_unavailable() -> str | None:
    """Return in one sentence what keeps TensorRT from running here, or None if nothing does."""
    try:
        from kp_pose_ros.inference.tensorrt import bindings  # noqa: F401
    except ImportError as error:
        return (
            f"TensorRT cannot be imported ({error}): install its Python package "
            "(JetPack: apt install python3-libnvinfer)"
        )
    try:
        from pycuda import driver
    except ImportError as error:
        return f"pycuda cannot be imported ({error}): install an NVIDIA driver and pycuda"
    try:
        driver.init()
        count = driver.Device.count()
    except driver.Error as error:
        return f"the CUDA driver does not start ({error}): check that `nvidia-smi` works"
    if not count:
        return (
            "the CUDA driver finds no GPU: check CUDA_VISIBLE_DEVICES and that `nvidia-smi` works"
        )
    return None
