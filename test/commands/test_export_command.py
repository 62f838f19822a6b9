# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from kp_pose_ros.cli import main
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.model import PoseModel


def run(path, batch, size):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"images": np.zeros((batch, 3, *size), np.float32)})
    return rows


@pytest.mark.parametrize(
    ("options", "batch", "weights", "declared"),
    [
        pytest.param([], 3, {TensorProto.FLOAT}, 0, id="three pictures"),
        pytest.param(["--fp16"], 2, {TensorProto.FLOAT, TensorProto.FLOAT16}, 0, id="float16"),
        pytest.param(["--max-batch", "2"], 2, {TensorProto.FLOAT}, 2, id="always two"),
    ],
)
def test_exported_file_runs(demo_weights, tmp_path, capsys, options, batch, weights, declared):
    path = tmp_path / "out.onnx"
    command = ["export", str(demo_weights), "-o", str(path), "--imgsz", "64", "96", *options]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert run(path, batch, (64, 96)).shape == (batch, 126, 57)
    graph = onnx.load(path).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == declared
    assert {each.data_type for each in graph.initializer if len(each.dims) == 4} == weights


def test_exported_file_is_a_model_again(demo_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(demo_weights), "--imgsz", "64", "96"]) == 0
    model = PoseModel.open("yolo11n-pose-64x96-fp32.onnx")
    assert model.metadata.layout is Layout.CANDIDATES
    assert model.metadata.imgsz == (64, 96)
    assert model.skeleton.name == "coco17"
    assert run(model.graph((64, 96)), 1, (64, 96)).shape == (1, 126, 57)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        pytest.param(["--imgsz", "100", "96"], "such as 128 x 96", id="no multiple of the stride"),
        pytest.param(["-o", "gone/out.onnx"], "gone/out.onnx cannot be written", id="no folder"),
        pytest.param(["-o", "out.txt"], "is out.txt: expected the name of an", id="other ending"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(
    demo_weights, tmp_path, monkeypatch, capsys, options, phrase
):
    monkeypatch.chdir(tmp_path)
    command = ["export", str(demo_weights), "--imgsz", "64", "96"]
    assert main([*command, *options]) == 1
    assert phrase in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_model_is_not_written_over_itself(demo_weights, tmp_path, capsys):
    path = tmp_path / "model.onnx"
    assert main(["export", str(demo_weights), "-o", str(path), "--imgsz", "64", "96"]) == 0
    content = path.read_bytes()
    assert main(["export", str(path), "-o", str(path)]) == 1
    assert "is the model itself" in capsys.readouterr().err
    assert path.read_bytes() == content
