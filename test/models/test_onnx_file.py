# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import onnx
import pytest
from onnx import TensorProto
from pose_graphs import COCO, constant_model, random_raw

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.onnx_file import (
    graph_inputs,
    graph_metadata,
    load_onnx,
    modernise,
    read_onnx,
)

RAW = random_raw(1, (17, 3), 126)


@pytest.fixture
def save(tmp_path):
    def write(model):
        path = tmp_path / "pose.onnx"
        content = model if isinstance(model, bytes) else model.SerializeToString()
        path.write_bytes(content)
        return path

    return write


def onnx_metadata(path):
    model = read_onnx(path)
    modernise(model, path)
    return graph_metadata(model, path)


def test_metadata_and_shapes_are_read(save):
    metadata = onnx_metadata(save(constant_model(RAW)))
    assert metadata.layout is Layout.RAW
    assert metadata.imgsz == (64, 96)
    assert metadata.size_is_static
    assert metadata.batch is None


def test_half_precision_models_are_taken(save):
    assert onnx_metadata(save(constant_model(RAW, dtype=np.float16))).kpt_shape == (17, 3)


def test_weights_listed_as_inputs_are_no_inputs():
    """Files before IR version 4 list every weight as an input, too."""
    model = constant_model(RAW)
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.insert(0, value)
    assert [value.name for value in graph_inputs(model)] == ["images"]
    assert graph_metadata(model, "model").imgsz == (64, 96)


def test_nodes_are_loaded_in_running_order(save):
    model = constant_model(RAW)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])
    loaded = load_onnx(save(model))
    modernise(loaded, "model")
    assert [node.op_type for node in loaded.graph.node] == [node.op_type for node in nodes]


def two_outputs(model):
    model.graph.output.add().CopyFrom(model.graph.output[0])


def byte_input(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def no_nodes(model):
    del model.graph.node[:]


def no_inputs(model):
    del model.graph.input[:]


def detector(model):
    onnx.helper.set_model_props(model, COCO | {"task": "detect"})


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        pytest.param(
            two_outputs,
            "1 inputs and 2 outputs .*: expected one",
            id="two outputs",
        ),
        pytest.param(byte_input, "tensor images .* UINT8: expected FLOAT", id="bytes as input"),
        pytest.param(no_nodes, "holds no ONNX graph", id="no nodes"),
        pytest.param(no_inputs, "0 inputs and 1 outputs", id="no input"),
        pytest.param(detector, "the task 'detect'", id="a detector"),
    ],
)
def test_unfit_graphs_are_refused(save, change, phrase):
    model = constant_model(RAW)
    change(model)
    with pytest.raises(ModelError, match=phrase) as caught:
        onnx_metadata(save(model))
    assert "pose.onnx" in str(caught.value)


def test_graph_that_runs_in_a_circle_is_refused(save):
    model = constant_model(RAW)
    model.graph.node[0].input[0] = "output0"
    with pytest.raises(ModelError, match="runs in a circle"):
        onnx_metadata(save(model))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>404</html>", id="a web page"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="a zip"),
        pytest.param(constant_model(RAW).SerializeToString()[:-1000], id="cut short"),
        pytest.param(b"\x3a\x80\x80\x80\x80\x08", id="a claim of 2 GB"),
        pytest.param(b"\x3b" * 10_000, id="groups without an end"),
    ],
)
def test_what_is_no_onnx_file_is_refused(save, content):
    with pytest.raises(ModelError, match=r"pose\.onnx (cannot be read|holds no ONNX graph)"):
        onnx_metadata(save(content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read"):
        load_onnx(tmp_path / "gone.onnx")
