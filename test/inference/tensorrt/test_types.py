# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's files, checked by mypy against types made from TensorRT's own bindings."""

import ast
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MOST_WRONG_LINES = 20
SETTINGS = """
[mypy]
strict = true
python_version = 3.10
explicit_package_bases = true
mypy_path = {stubs}
cache_dir = {stubs}/cache
[mypy-kp_pose_ros.*]
warn_unused_ignores = false
[mypy-onnxruntime.*,pycuda.*]
ignore_missing_imports = true
[mypy-tensorrt_rtx_bindings.*,tensorrt.*]
ignore_errors = true
"""


def mend(path):
    """Loosen the few signatures that come out as no Python, such as those with an argument `in`."""
    lines = path.read_text().split("\n")
    for _ in range(MOST_WRONG_LINES):
        wrong = first_wrong_line(lines)
        if wrong is None:
            break
        lines[wrong] = re.sub(r"^(\s*def \w+)\(self.*", r"\1(*args, **kwargs):", lines[wrong])
    path.write_text("\n".join(lines))


def first_wrong_line(lines):
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        return error.lineno - 1
    return None


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """A folder in which `tensorrt` has the types of the installed TensorRT for RTX."""
    pytest.importorskip("pybind11_stubgen")
    pytest.importorskip("tensorrt_rtx_bindings")
    folder = tmp_path_factory.mktemp("stubs")
    command = [sys.executable, "-m", "pybind11_stubgen", "--ignore-all-errors"]
    subprocess.run([*command, "-o", folder, "tensorrt_rtx_bindings"], check=True)
    for path in folder.rglob("*.pyi"):
        mend(path)
    (folder / "tensorrt").mkdir()
    (folder / "tensorrt/__init__.pyi").write_text("from tensorrt_rtx_bindings import *\n")
    (folder / "mypy.ini").write_text(SETTINGS.format(stubs=folder))
    for known in (ROOT / ".mypy_cache").rglob("*.db"):  # of numpy and the like; 30 s saved
        copy = folder / "cache" / known.relative_to(ROOT / ".mypy_cache")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(known)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    return folder


def mypy(stubs, *arguments):
    command = [sys.executable, "-m", "mypy", "--config-file", str(stubs / "mypy.ini"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_the_engine_fits_tensorrts_types(stubs):
    assert "Success: no issues found" in mypy(stubs, "kp_pose_ros/inference/tensorrt")


def test_a_name_that_tensorrt_lacks_is_found(stubs):
    code = "import tensorrt as trt\ntrt.Builder(trt.Logger()).build_cuda_engine()\n"
    assert 'has no attribute "build_cuda_engine"' in mypy(stubs, "-c", code)
