# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
from argparse import Namespace
from dataclasses import fields
from pathlib import Path
from time import monotonic, sleep

import cv2
import numpy as np
import pytest
from echo_model import write_echo_model
from node_process import PATIENCE

from kp_pose_ros.bench.node import NodeUnderTest
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import EstimatorSettings
from kp_pose_ros.ros.parameters import Parameters

pytestmark = pytest.mark.ros

BENCH = [sys.executable, "-m", "kp_pose_ros.cli", "bench"]
STAGES = (
    *("convert", "letterbox", "infer", "decode", "track", "lift"),
    *("message", "publish", "annotate"),
)


def test_bench_prints_every_stage_and_compares_with_the_network(demo_weights, demo_photo, tmp_path):
    picture = tmp_path / "zidane.png"
    cv2.imwrite(str(picture), demo_photo("zidane.jpg"))
    command = [*BENCH, picture, "--model", demo_weights, "--rounds", "1", "--seconds", "0.5"]
    command += ["--depth", "--smoothing", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = {line.strip("|").split("|")[0].strip() for line in done.stdout.splitlines()}
    for stage in STAGES:
        assert f"{stage}, ms (p50, p95, p99)" in rows
    assert "camera stamp -> poses, ms (p50, p95, p99)" in rows
    for program in ("relay", "node"):
        assert f"{program}, CPU ms a frame" in rows
        assert f"{program}, p50 ms" in rows
    (people,) = (line for line in done.stdout.splitlines() if "people in a frame" in line)
    assert "| 2.0 " in people
    (engine,) = (line for line in done.stdout.splitlines() if line.startswith("| engine "))
    assert done.stderr.count(engine.split("|")[2].strip()) == 1  # which engine it is, is said once
    assert "[WARN]" not in done.stderr


def test_the_node_gets_the_settings_of_the_network_that_is_measured_beside_it():
    values = {
        **{field.name: f"a {field.name}" for field in fields(EstimatorSettings)},
        **{"model": Path("a.onnx"), "layout": "deepstream", "engine": "onnx", "precision": "fp32"},
        **{"imgsz": (96, 64), "providers": ("CUDA", "QNN"), "threads": 3, "max_batch": 2},
        "decode": DecodeSettings(0.1, 0.2, 0.3, 4),
    }
    settings = EstimatorSettings(**values)
    args = Namespace(cameras=2, depth=False, smoothing=0.0)
    given = {each.name: each.value for each in NodeUnderTest(settings, args, [])._parameters()}
    assert Parameters.from_values(Parameters().values() | given).estimator_settings() == settings


def helpers_of(process):
    """Numbers of the processes that a bench has started: its cameras and its relay."""
    name = f"/kp_pose_bench_{process.pid}".encode()
    commands = Path("/proc").glob("[0-9]*/cmdline")
    return [int(path.parent.name) for path in commands if name in _content(path)]


def _content(path):
    try:
        return path.read_bytes()
    except OSError:  # it has just ended
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_bench_ends_when_told_and_takes_its_processes_along(tmp_path, number):
    cv2.imwrite(str(tmp_path / "dark.png"), np.zeros((64, 96, 3), np.uint8))
    model = write_echo_model(tmp_path / "echo.onnx")
    command = [*BENCH, tmp_path / "dark.png", "--model", model, "--engine", "onnx"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
    try:
        deadline = monotonic() + PATIENCE
        while len(helpers_of(process)) < 2:
            assert monotonic() < deadline
            assert process.poll() is None, (tmp_path / "log").read_text()
            sleep(0.05)
        assert {each.name for each in scratch.iterdir()} <= {".ses"}  # ONNX Runtime's
        os.killpg(process.pid, number)  # as a terminal does
        code = process.wait(20)
    finally:
        process.kill()
        process.wait()
    text = (tmp_path / "log").read_text()
    assert code == 130, text
    assert text.rstrip().endswith("kp_pose: interrupted")
    assert "Traceback" not in text
    deadline = monotonic() + 20  # one that was just starting has to come so far first
    while helpers_of(process):
        assert monotonic() < deadline
        sleep(0.05)
