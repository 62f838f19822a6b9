# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The lines of CMakeLists.txt that compile the kernel, with a made-up nvcc."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

LISTS = (Path(__file__).parents[3] / "CMakeLists.txt").read_text()
CMAKE = shutil.which("cmake")
PROJECT = """
cmake_minimum_required(VERSION 3.16)
project(kp_pose_ros NONE)
set(python_dir python)
"""
WORKS = 'for each; do last=$out; out=$each; [ "$last" = -o ] && echo ptx > "$each"; done; true'


@pytest.fixture
def build(tmp_path):
    """Configure and install with a shell script as nvcc: build(script) -> (warning, PTX)."""
    if CMAKE is None:
        pytest.skip("there is no cmake")

    def run(script):
        (block,) = re.findall(r"^find_program\(nvcc.*?^endif\(\)$", LISTS, re.MULTILINE | re.DOTALL)
        (tmp_path / "CMakeLists.txt").write_text(PROJECT + block)
        nvcc = tmp_path / "nvcc"
        nvcc.write_text(f"#!/bin/sh\n{script}\n")
        nvcc.chmod(0o755)
        folders = [
            "-S",
            tmp_path,
            "-B",
            tmp_path / "build",
            f"-DCMAKE_INSTALL_PREFIX={tmp_path}/to",
        ]
        commands = ([CMAKE, *folders, f"-Dnvcc={nvcc}"], [CMAKE, "--install", tmp_path / "build"])
        done = [
            subprocess.run(each, capture_output=True, text=True, check=True) for each in commands
        ]
        found = [path.read_text() for path in tmp_path.glob("to/python/**/letterbox_built.ptx")]
        return " ".join(done[0].stderr.split()), found

    return run


def test_the_kernel_that_nvcc_compiles_is_installed(build):
    assert build(WORKS) == ("", ["ptx\n"])


def test_a_failing_nvcc_costs_a_warning_and_leaves_the_shipped_ptx(build):
    warning, ptx = build("echo no such architecture >&2; exit 1")
    assert "cannot compile the letterbox kernel, so the PTX in the source tree is used" in warning
    assert "no such architecture" in warning
    assert ptx == []
