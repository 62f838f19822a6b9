# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Graphs are cached under the model's content and GRAPH_VERSION: a new graph needs a new number."""

import hashlib

import numpy as np
import onnx
import pytest
from pose_graphs import COCO, constant_model, digest_of, random_raw
from torch_file import checkpoint, save, tiny_pose

from kp_pose_ros.models.model import GRAPH_VERSION, PoseModel

RAW = random_raw(1, (17, 3), 126)
FREE = {"input_shape": ("batch", 3, "height", "width"), "output_shape": ("batch", 56, "anchors")}
ROWS = {"output_shape": ("batch", 300, 57), "metadata": COCO | {"end2end": "True"}}


def raw_onnx(path):
    onnx.save(constant_model(RAW), path)


def raw_onnx_of_any_size(path):
    onnx.save(constant_model(RAW, **FREE, opset=14), path)


def rows_onnx(path):
    onnx.save(constant_model(np.zeros((300, 57), np.float32), **ROWS), path)


def tiny_checkpoint(path):
    save(path, checkpoint(tiny_pose()))


# The graphs of GRAPH_VERSION 3.
GRAPHS = [
    pytest.param(raw_onnx, "pose.onnx", "fp32", "f43453e14da478d2", id="a raw output"),
    pytest.param(
        raw_onnx, "pose.onnx", "fp16", "e78ff2ad6b26fc8c", id="a raw output, half precision"
    ),
    pytest.param(raw_onnx_of_any_size, "pose.onnx", "fp32", "3831af198c77155a", id="any size"),
    pytest.param(rows_onnx, "pose.onnx", "fp32", "084d571fd6ac2ecf", id="rows"),
    pytest.param(tiny_checkpoint, "pose.pt", "fp32", "bfa0cf4a535d2e09", id="a checkpoint"),
    pytest.param(
        tiny_checkpoint, "pose.pt", "fp16", "0fbf3a7774eac437", id="a checkpoint, half precision"
    ),
]


@pytest.mark.parametrize(("write", "name", "precision", "expected"), GRAPHS)
def test_a_graph_that_changes_has_a_new_version(tmp_path, write, name, precision, expected):
    write(tmp_path / name)
    model = PoseModel.open(tmp_path / name)
    graph = model.make_graph(model.metadata.imgsz, precision)
    assert digest_of(graph) == expected, (
        "this model's graph is not what it was: raise GRAPH_VERSION in models/model.py, "
        f"now {GRAPH_VERSION}, and write the new digests into GRAPHS"
    )


def test_another_version_means_another_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "cache"))
    raw_onnx(tmp_path / "pose.onnx")
    model = PoseModel.open(tmp_path / "pose.onnx")
    before = model.graph((64, 96))
    monkeypatch.setattr("kp_pose_ros.models.model.GRAPH_VERSION", GRAPH_VERSION + 1)
    assert model.graph((64, 96)) != before


def test_the_code_is_no_part_of_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path / "cache"))
    raw_onnx(tmp_path / "pose.onnx")
    # SHA-256 of "<SHA-256 of the file> <how it is read> <GRAPH_VERSION>"
    content = hashlib.sha256((tmp_path / "pose.onnx").read_bytes()).hexdigest()
    key = hashlib.sha256(f"{content} raw (17, 3) {GRAPH_VERSION}".encode()).hexdigest()[:16]
    assert PoseModel.open(tmp_path / "pose.onnx").graph((64, 96)).name == (
        f"pose-64x96-fp32-{key}.onnx"
    )
