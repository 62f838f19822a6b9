# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose build` on a simulated GPU; in this folder because the stand-ins are."""

import json
from pathlib import Path

import pytest
from echo_model import METADATA, write_echo_model
from fakes.tensorrt import make_plan

from kp_pose_ros.cli import main


@pytest.fixture
def echo(tmp_path):
    return write_echo_model(tmp_path / "echo.onnx")


@pytest.fixture
def build(engines, capsys):
    """Run the command on the stand-ins: build(*arguments) -> (status, output, errors)."""

    def run(*arguments):
        status = main(["build", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        pytest.param([], ["64x96", "-fp16-b1-"], id="the model's size, half precision"),
        pytest.param(["--fp32"], ["64x96", "-fp32-b1-"], id="single precision"),
        pytest.param(["--imgsz", "32", "64"], ["32x64"], id="a size"),
        pytest.param(["--camera", "96", "96"], ["96x96"], id="a camera's size"),
        pytest.param(["--max-batch", "3"], ["-b3-"], id="a batch"),
    ],
)
def test_says_where_the_engine_is(build, machine, echo, arguments, names):
    status, output, _ = build(echo, *arguments)
    plan = Path(output.strip())
    assert status == 0
    assert plan.is_file()
    assert [name for name in names if name not in plan.name] == []
    assert machine.blocks == {}


def test_a_camera_without_pixels_is_refused(build, echo, capsys):
    with pytest.raises(SystemExit):
        build(echo, "--camera", "0", "0")
    assert "--camera: 0 is not from 1 to 65535" in capsys.readouterr().err


def test_the_engine_is_there_the_second_time(build, machine, echo):
    assert build(echo)[1] == build(echo)[1]
    assert machine.calls.count("build_serialized_network") == 1


def test_an_engine_file_is_only_checked(build, machine, echo, tmp_path):
    header = json.dumps(METADATA).encode()
    own = tmp_path / "own.engine"
    graph = write_echo_model(tmp_path / "graph.onnx", sides=(64, 96)).read_bytes()
    own.write_bytes(len(header).to_bytes(4, "little") + header + make_plan(graph))
    assert build(own)[:2] == (0, f"{own}\n")
    assert "build_serialized_network" not in machine.calls


def test_int8_with_calibration(build, demo_weights, calibration_pictures):
    size = ("--imgsz", 96, 160)
    status, output, _ = build(demo_weights, *size, "--int8", "--calibration", calibration_pictures)
    assert status == 0
    assert "96x160-int8-" in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--int8"], "precision int8 needs a calibrated graph", id="no calibration"),
        pytest.param(["--calibration", "."], "without --int8", id="calibration for nothing"),
        pytest.param(["--imgsz", "50", "50"], "expected multiples of 32", id="an odd size"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(build, echo, arguments, sentence):
    status, output, errors = build(echo, *arguments)
    assert (status, output) == (1, "")
    assert sentence in errors


@pytest.mark.parametrize("machine", [pytest.param({"devices": 0}, id="no GPU")], indirect=True)
def test_without_a_gpu_nothing_is_built(build, echo):
    status, _, errors = build(echo)
    assert status == 1
    assert "the CUDA driver finds no GPU" in errors
