# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from pose_graphs import COCO, constant_model, random_raw

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.model import PoseModel
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


def segmenter(model):
    two_outputs(model)
    onnx.helper.set_model_props(model, COCO | {"task": "segment"})


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        pytest.param(
            two_outputs,
            "1 inputs and 2 outputs .*: expected one",
            id="two outputs",
        ),
        pytest.param(byte_input, "tensor images .* UINT8: expected FLOAT", id="bytes as input"),
        pytest.param(no_nodes, "has no ONNX graph", id="no nodes"),
        pytest.param(no_inputs, "0 inputs and 1 outputs", id="no input"),
        pytest.param(detector, "the task 'detect'", id="a detector"),
        pytest.param(segmenter, "the task 'segment'", id="a segmenter of two outputs"),
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
    with pytest.raises(ModelError, match="has a cycle"):
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
    with pytest.raises(ModelError, match=r"pose\.onnx (cannot be read|has no ONNX graph)"):
        onnx_metadata(save(content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read"):
        load_onnx(tmp_path / "gone.onnx")


def zipped(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


def test_the_onnx_file_in_a_zip_is_read(tmp_path):
    content = constant_model(RAW).SerializeToString()
    path = zipped(tmp_path / "rtmo-s.zip", folder__end2end_onnx=content, folder__detail_json="{}")
    model = PoseModel.open(path)
    assert model.metadata.layout is Layout.RAW
    assert len(model.make_graph((64, 96), "fp32").graph.node) > 4


@pytest.mark.parametrize(
    ("files", "phrase"),
    [
        pytest.param({"a_txt": "b"}, r"holds 0 \.onnx files: expected one", id="none"),
        pytest.param({"a_onnx": "", "b_onnx": ""}, r"holds 2 \.onnx files", id="two"),
        pytest.param({"a_onnx": bytes(5_000_000)}, "claims 5000000 bytes", id="a bomb"),
        pytest.param({"a_onnx": "<html>"}, "ONNX", id="a page"),
    ],
)
def test_other_zips_are_refused(tmp_path, files, phrase):
    with pytest.raises(ModelError, match=phrase) as caught:
        PoseModel.open(zipped(tmp_path / "rtmo-s.zip", **files))
    assert "rtmo-s.zip" in str(caught.value)


def test_a_zip_that_is_none_is_refused(tmp_path):
    (tmp_path / "rtmo-s.zip").write_bytes(b"PK no")
    with pytest.raises(ModelError, match=r"rtmo-s\.zip cannot be read"):
        PoseModel.open(tmp_path / "rtmo-s.zip")


def values(name, *shape, kind=TensorProto.FLOAT):
    return onnx.helper.make_tensor_value_info(name, kind, shape)


@pytest.mark.parametrize(
    ("inputs", "outputs", "family"),
    [
        pytest.param(
            [values("input", 1, 3, 256, 192)],
            [values("simcc_x", 1, 17, 384), values("simcc_y", 1, 17, 512)],
            "RTMPose",
            id="RTMPose",
        ),
        pytest.param(
            [values("input", 1, 3, 256, 192)],
            [values("output", 1, 17, 64, 48)],
            "ViTPose",
            id="ViTPose",
        ),
        pytest.param(
            [values("input", 1, 192, 192, 3, kind=TensorProto.INT32)],
            [values("output_0", 1, 1, 17, 3)],
            "MoveNet",
            id="MoveNet for one person",
        ),
        pytest.param(
            [values("input", 1, "h", "w", 3, kind=TensorProto.INT32)],
            [values("output_0", 1, 6, 56)],
            "MoveNet",
            id="MoveNet for six",
        ),
        pytest.param(
            [values("input", 1, 3, 640, 640, kind=TensorProto.UINT8)],
            [values("graph2_flat_predictions", "n", 57)],
            "YOLO-NAS",
            id="YOLO-NAS, flat",
        ),
        pytest.param(
            [values("input", 1, 3, 640, 640)],
            [values("pred_boxes", 1, 100, 4), values("pred_joints", 1, 100, 17, 3)],
            "YOLO-NAS",
            id="YOLO-NAS, in a batch",
        ),
        pytest.param(
            [values("images", 1, 3, 640, 640), values("orig_target_sizes", 1, 2)],
            [values("scores", 1, 60), values("labels", 1, 60), values("keypoints", 1, 60, 34)],
            "DETRPose",
            id="DETRPose",
        ),
    ],
)
def test_other_families_are_named_where_they_are_recognised(inputs, outputs, family):
    model = constant_model(RAW, metadata={})
    for kept, found in ((model.graph.input, inputs), (model.graph.output, outputs)):
        del kept[:]
        kept.extend(found)
    with pytest.raises(ModelError, match=f"pose.onnx looks like {family}.*: expected a model that"):
        graph_metadata(model, "pose.onnx")


def many_dimensions(model):
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 62] * 100_000)


def circular_functions(model):
    for name, other in (("f", "g"), ("g", "f")):
        function = model.functions.add(name=name, domain="ours")
        function.node.add(op_type=other, domain="ours")


def unknown_type(model):
    model.graph.input[0].type.tensor_type.elem_type = 99


def strange_location(model):
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="a\0b")


def huge_number(model):
    onnx.helper.set_model_props(model, COCO | {"stride": "9" * 5000})


def complex_shape(model):
    onnx.helper.set_model_props(model, COCO | {"kpt_shape": "[17j, 3]"})


@pytest.mark.parametrize(
    "change",
    [
        many_dimensions,
        circular_functions,
        unknown_type,
        strange_location,
        huge_number,
        complex_shape,
    ],
)
def test_what_is_made_to_break_a_reader_is_refused_in_a_sentence(save, change):
    model = constant_model(RAW)
    change(model)
    with pytest.raises(ModelError) as caught:
        PoseModel.open(save(model))
    assert "pose.onnx" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_graph_of_many_reversed_nodes_is_sorted_or_refused_soon(save):
    model = constant_model(RAW)
    names = [f"v{place}" for place in range(20_000)]
    nodes = [
        onnx.helper.make_node("Identity", [one], [other])
        for one, other in zip(["output0", *names], [*names, "last"], strict=True)
    ]
    model.graph.node.extend(nodes[::-1])
    assert PoseModel.open(save(model)).metadata.layout is Layout.RAW
    model.graph.node.extend(nodes * 5)
    with pytest.raises(ModelError, match="expected at most 100000 nodes"):
        PoseModel.open(save(model))
