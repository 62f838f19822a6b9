# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real pycuda, with its contexts a thread and its argument packing, on a made-up driver."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from echo_model import write_echo_model
from kernel_on_cpu import COMPILER

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.fixture
def driver(tmp_path):
    """A libcuda.so.1 with every function that the installed pycuda wants."""
    package = find_spec("pycuda")
    if package is None or COMPILER is None:
        pytest.skip("pycuda or g++ is not installed")
    (binary,) = Path(package.submodule_search_locations[0]).glob("_driver*.so")
    source = (HERE / "fake_driver.cpp").read_text()
    symbols = subprocess.check_output(["nm", "-D", "--undefined-only", binary], text=True)
    wanted = set(re.findall(r"\bcu[A-Z]\w+", symbols)) - set(re.findall(r"\bcu[A-Z]\w+", source))
    others = "".join(f'extern "C" int {name}() {{ return 801; }}\n' for name in wanted)
    library = tmp_path / "libcuda.so.1"
    command = [COMPILER, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library), "-ldl"]
    subprocess.run(
        [*command, f"-Wl,-soname,{library.name}"], input=source + others, text=True, check=True
    )
    return library


@pytest.fixture
def run(driver, kernel_on_cpu, tmp_path):
    """Run the engine, or another program, in a process of its own: run(*program, **environment)."""

    def run(*program, **environment):
        surroundings = {
            "KERNELS": str(kernel_on_cpu.path),
            "LD_PRELOAD": str(driver),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        return subprocess.run(
            [sys.executable, *(program or (HERE / "on_real_pycuda.py", tmp_path))],
            env=os.environ | surroundings | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("memory", [{}, {"SHARES_MEMORY": "1"}], ids=["own", "shared"])
def test_any_thread_may_call_and_nothing_is_left(run, memory):
    done = run(**memory)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "TensorRT 10.3.0 on Made Up (compute capability 8.7)\n"
    assert not re.search("leaked|no context|PyCUDA|clean", done.stderr), done.stderr


def test_a_lost_gpu_ends_the_process_with_1(run):
    done = run(LOSE="2")
    assert done.returncode == 1, done.stderr
    first, second = done.stdout.splitlines()
    assert first == second
    assert re.search("Made Up .* failed while .* cannot use it any more: start it again", first)


def test_prove_gpu_proves_what_needs_no_network_on_the_fake_driver(run, tmp_path):
    model = write_echo_model(tmp_path / "echo.onnx", sides=(384, 640))
    picture = ROOT / "docs" / "poses.jpg"
    steps = ("versions", "letterbox_kernels", "copies")
    done = run(ROOT / "tools" / "prove_gpu", model, picture, "--only", *steps)
    assert done.returncode == 0, done.stdout
    assert "| letterbox, letterbox.ptx | PASS |" in done.stdout
    assert "| letterbox of 1080p, mapped memory | PASS |" in done.stdout
