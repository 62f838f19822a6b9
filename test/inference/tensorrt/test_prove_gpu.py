# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tools/prove_gpu on the simulated GPU, each of its steps in its own process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from echo_model import write_echo_model

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
TORCH = ["torch", "torchgen", "functorch", "sympy", "mpmath", "networkx", "jinja2", "markupsafe"]
TORCH += ["filelock", "fsspec", "typing_extensions.py"]
NOT_PROVEN = "TensorRT itself: not proven"

sys.path.append(str(ROOT / "tools"))

from prove.child import run_in_a_process  # noqa: E402
from prove.results import Result  # noqa: E402
from prove.steps import STEPS  # noqa: E402


@pytest.fixture
def prove(kernel_on_cpu, demo_weights, tmp_path):
    """Run the program; return its exit code and its results."""

    def run(*arguments, model=demo_weights, paths=(), **environment):
        results = tmp_path / "results.json"
        more = [HERE / "simulated_cuda", HERE, ROOT, *paths]
        surroundings = {
            "KERNELS": str(kernel_on_cpu.path),
            "PYTHONPATH": os.pathsep.join([*map(str, more), *sys.path]),
        }
        command = [ROOT / "tools" / "prove_gpu", model, picture(), "--json", results]
        done = subprocess.run(
            [sys.executable, *map(str, command), *arguments],
            env=os.environ | surroundings | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found = [Result(**each) for each in json.loads(results.read_text())]
        assert [each.row() for each in found] == done.stdout.split("\n\n")[0].splitlines()[2:]
        return done.returncode, found

    return run


def picture():
    path = ROOT / "build/demo/photos/bus.jpg"
    return path if path.is_file() else pytest.skip(f"{path} is not there: `make demo` fetches it")


def failures(results):
    return [(each.step, each.note) for each in results if each.status == "FAIL"]


WITH_PEOPLE = ["tensorrt", "poses", "int8"]


@pytest.mark.parametrize("people", [True, False], ids=["with people", "without"])
def test_all_steps_pass_on_the_gpu_made_of_rules(prove, demo_weights, tmp_path, people):
    others = [each for each in STEPS if each not in (*WITH_PEOPLE, "bench")]  # bench: by hand
    steps = WITH_PEOPLE if people else others  # with a model that takes no time
    model = demo_weights if people else write_echo_model(tmp_path / "echo.onnx", sides=(384, 640))
    arguments = ["--minutes", "60", "--submits", "3", "--only", *steps]
    # Without the compute-sanitizer that may be installed: it would find no CUDA in the program.
    code, results = prove(*arguments, model=model, PATH=str(tmp_path))
    assert failures(results) == []
    assert code == 0
    assert len(results) >= len(steps)
    assert not [each for each in results if NOT_PROVEN in each.note]


def torch_alone(folder):
    """Fill a folder with torch and what it needs, of the Python that has it."""
    python = os.environ.get("KP_POSE_REFERENCE_PYTHON")
    if not python:
        pytest.skip("KP_POSE_REFERENCE_PYTHON names no Python that has torch")
    (packages,) = Path(python).parents[1].glob("lib/python3.*/site-packages")
    for name in TORCH:
        (folder / name).symlink_to(packages / name)
    return folder


@pytest.mark.reference
def test_torch_stands_in_for_tensorrt(prove, tmp_path):
    folder = tmp_path / "torch"
    folder.mkdir()
    steps = ["tensorrt", "int8", "submits"]
    arguments = ["--minutes", "60", "--submits", "2", "--only", *steps]
    code, results = prove(*arguments, paths=[torch_alone(folder)], WITHOUT_TENSORRT="1")
    assert failures(results) == []
    assert code == 0
    tensorrt, *networks = results
    assert tensorrt.status == "SKIP"
    assert len(networks) == 5
    assert all(each.status == "PASS" and NOT_PROVEN in each.note for each in networks)


def test_without_tensorrt_and_torch_what_needs_them_is_skipped(prove, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    steps = ["tensorrt", "poses"]
    code, results = prove("--only", *steps, paths=[tmp_path], WITHOUT_TENSORRT="1")
    assert code == 0
    assert [(each.step, each.status) for each in results] == [
        ("TensorRT", "SKIP"),
        ("poses", "SKIP"),
    ]
    assert results[1].note == NOT_PROVEN


def step(code):
    """Return the command of a step that is this Python code; the results' file is its last word."""
    return [sys.executable, "-c", code]


def test_a_step_that_hangs_is_killed_with_what_it_has_started(tmp_path):
    code = f"""
import subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
open({str(tmp_path / "child")!r}, "w").write(str(child.pid))
print("so far", flush=True)
time.sleep(600)
"""
    started = time.monotonic()
    (result,) = run_in_a_process("hangs", step(code), seconds=3)
    assert time.monotonic() - started < 300
    assert (result.status, result.note) == ("FAIL", "killed after 3 s: so far")
    child = Path("/proc", (tmp_path / "child").read_text())
    # A killed process is there until it is scheduled once more.
    while child.exists() and "Z (zombie)" not in (child / "status").read_text():
        assert time.monotonic() - started < 300
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("code", "note"),
    [
        pytest.param("import os; os.abort()", "ended with -6: it printed nothing", id="aborts"),
        pytest.param("1 / 0", "ended with 1: ZeroDivisionError: division by zero", id="raises"),
        pytest.param("", "no result: it printed nothing", id="has no result"),
    ],
)
def test_a_step_that_crashes_has_failed(code, note):
    (result,) = run_in_a_process("crashes", step(code), seconds=60)
    assert (result.step, result.status, result.note) == ("crashes", "FAIL", note)


def test_what_a_step_found_before_it_crashed_is_kept():
    code = "import os, sys; open(sys.argv[-1], 'w').write('{\"step\": \"first\"}'); os.abort()"
    first, crash = run_in_a_process("crashes", step(code), seconds=60)
    assert (first.step, first.status) == ("first", "PASS")
    assert crash.status == "FAIL"


def test_all_steps_together_have_eight_minutes():
    assert sum(each.seconds for each in STEPS.values()) <= 480
