# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles the letterbox kernels as C++ and runs them on the CPU."""

import ctypes
import shutil
import subprocess
from pathlib import Path

from kp_pose_ros.inference.tensorrt import kernel

COMPILER = shutil.which("g++")
_Triple = ctypes.c_uint * 3


def compile_kernels(folder: Path) -> Path:
    """Return a shared library with the kernels that is compiled into `folder`."""
    path = folder / "letterbox.so"
    source = Path(__file__).with_name("letterbox_on_cpu.cpp")
    command = [COMPILER, "-O2", "-shared", "-fPIC", f"-I{kernel.FOLDER}"]
    command += ["-Wall", "-Wextra", "-Werror", "-o", str(path), str(source)]
    subprocess.run(command, check=True)
    return path


class KernelOnCpu:
    """The kernels in a shared library of `compile_kernels`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._library = ctypes.CDLL(str(path))

    def run(self, name: str, grid: tuple, block: tuple, launch: kernel.Launch) -> None:
        self._library.run(
            getattr(self._library, name), _Triple(*grid), _Triple(*block), ctypes.byref(launch)
        )
