# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from torch_file import BINS, NETWORK_HW, Tensor, checkpoint, module, numbered, part, save, tiny_pose

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.precision import to_half

# What TensorRT 8.5's parser takes, of all that could be used here.
TENSORRT_OPERATORS = {
    *("Add", "Cast", "Concat", "Conv", "MatMul", "MaxPool", "Mul", "Reshape", "Resize", "Sigmoid"),
    *("Softmax", "Split", "Sub", "Transpose"),
}


@pytest.fixture
def write(tmp_path):
    """Write the ONNX of a made-up model."""

    def write_model(model, *, imgsz=NETWORK_HW, half=False, batch=1):
        read = read_checkpoint(save(tmp_path / "tiny.pt", checkpoint(model)))
        written = write_onnx(read, imgsz=imgsz, batch=batch)
        if half:
            to_half(written)
        return written

    return write_model


def run(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"images": images})[0]


def noise(batch=1, size=NETWORK_HW):
    return np.random.default_rng(1).random((batch, 3, *size), np.float32)


@pytest.mark.parametrize("half", [False, True])
def test_input_and_output_are_float32(write, half):
    graph = write(tiny_pose(), half=half).graph
    (images,), (output,) = graph.input, graph.output
    assert (images.name, output.name) == ("images", "output0")
    for value, shape in [(images, [1, 3, 32, 48]), (output, [1, 4 + 2 + 9, 24])]:
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape


@pytest.mark.parametrize("half", [False, True])
def test_graph_is_valid_and_its_types_agree(write, half):
    onnx.checker.check_model(write(tiny_pose(), half=half), full_check=True)


def test_half_weights_are_float16_and_decoding_is_not(write):
    graph = onnx.shape_inference.infer_shapes(write(tiny_pose(), half=True)).graph
    types = {
        value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)
    }
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert weights["model.0.conv.weight_float16"] == TensorProto.FLOAT16
    assert types["model.3.cv2.0.0/Conv_float16"] == TensorProto.FLOAT16
    decoding = [
        name for name in types if name.startswith(("model.3.dfl/Conv", "model.3.keypoints/Add"))
    ]
    assert decoding
    assert {types[name] for name in decoding} == {TensorProto.FLOAT}


def test_older_tools_can_read_it(write):
    model = write(tiny_pose())
    assert model.ir_version <= 8
    assert [entry.version for entry in model.opset_import] == [17]


def test_tensorrt_knows_every_operator(write, demo_weights):
    model = write_onnx(read_checkpoint(demo_weights), imgsz=(64, 64), batch=None)
    assert {node.op_type for node in model.graph.node} <= TENSORRT_OPERATORS


def test_nodes_are_named_after_layers(write):
    names = [node.name for node in write(tiny_pose()).graph.node]
    assert names[:3] == ["model.0.conv/Conv", "model.0.act/Sigmoid", "model.0.act/Mul"]
    assert len(set(names)) == len(names)


def test_metadata_has_the_keys_and_the_format_of_ultralytics(write):
    props = {prop.key: prop.value for prop in write(tiny_pose(), batch=None).metadata_props}
    assert list(props) == [
        *("description", "date", "version", "license", "docs", "stride", "task", "head", "imgsz"),
        *("names", "channels", "kpt_shape", "end2end", "author", "batch", "args"),
    ]
    assert props["names"] == "{0: 'cat', 1: 'dog'}"
    assert props["kpt_shape"] == "[3, 3]"
    assert props["imgsz"] == "[32, 48]"
    assert props["stride"] == "8"
    assert props["end2end"] == "False"


def test_decodes_as_the_reference_does(write):
    # One bin of each distribution outweighs the others: left 1, top 2, right 3, bottom 0 cells.
    distances = (1, 2, 3, 0)
    box = np.zeros((4, BINS), np.float32)
    box[range(4), distances] = 40.0
    keypoints = np.array([[0.5, 0.0, 0.0], [-1.0, 0.25, 2.0], [0.0, 1.0, -40.0]])
    model = tiny_pose(box.ravel(), scores=(1.0, -1.0), keypoints=keypoints.ravel())
    rows = run(write(model), noise())[0].T.reshape(4, 6, 15)

    for row, column in [(0, 0), (2, 5)]:
        x, y = 8 * column, 8 * row  # the corner of the cell, in pixels
        centre, size = (x + 4 + 8, y + 4 - 8), (4 * 8, 2 * 8)
        sigmoid = 1 / (1 + np.exp(-np.array([1.0, -1.0])))
        points = np.array([[x + 8, y, 0.5], [x - 16, y + 4, 0.880797], [x, y + 16, 0.0]])
        expected = np.concatenate([centre, size, sigmoid, points.ravel()])
        np.testing.assert_allclose(rows[row, column], expected, atol=1e-5)


def test_folds_the_normalisation(write):
    model = tiny_pose()
    first = part(model, "model.0.conv")["_parameters"]["weight"].data.astype(np.float64)
    statistics = part(model, "model.0.bn")["_parameters"]
    gamma, beta, mean, variance = (
        statistics[name].data.astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    written = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in write(model).graph.initializer
    }
    factor = gamma / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(
        written["model.0.conv.weight"], first * factor[:, None, None, None], rtol=1e-6
    )
    np.testing.assert_allclose(written["model.0.conv.bias"], beta - mean * factor, rtol=1e-5)


def test_writes_a_model_that_was_saved_fused(write):
    fused = tiny_pose()
    del part(fused, "model.0")["_modules"]["bn"]
    bias = np.full(8, 0.5, np.float32)
    part(fused, "model.0.conv")["_parameters"]["bias"] = Tensor(bias)
    written = {tensor.name: tensor for tensor in write(fused).graph.initializer}
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(written["model.0.conv.bias"]), bias)


def test_open_batch_gives_each_picture_its_own_rows(write):
    model = write(tiny_pose(), batch=None)
    images = noise(batch=3)
    single = [run(model, image[None])[0] for image in images]
    np.testing.assert_allclose(run(model, images), single, atol=1e-5)


def test_fixed_batch_is_in_the_shape(write):
    graph = write(tiny_pose(), batch=3).graph
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3
    assert graph.output[0].type.tensor_type.shape.dim[0].dim_value == 3


ONE = Tensor(np.ones(1, np.float32))


@pytest.mark.parametrize(
    ("path", "change", "message"),
    [
        pytest.param("model.3", {"kpt_shape": None}, "no keypoints", id="a detection model"),
        pytest.param("model.3", {"kpt_shape": [4, 3]}, "expected \\(12, ", id="another kpt_shape"),
        pytest.param("model.3", {"reg_max": 8}, "expected \\(32, ", id="another reg_max"),
        pytest.param("model.3", {"f": [7]}, "not before it", id="a layer that reads ahead"),
        pytest.param("model.3", {"f": [1]}, "strides \\[8.0\\] do not fit", id="the wrong scale"),
        pytest.param("model.0.conv", {"groups": 2}, "takes 6 channels", id="wrong groups"),
        pytest.param("model.0.conv", {"padding": "same"}, "padding = 'same'", id="padding by name"),
        pytest.param("model.0.conv", {"padding_mode": "circular"}, "'circular'", id="a torus"),
        pytest.param("model.0.conv", {"stride": (0, 0)}, "does not fit", id="no step at all"),
        pytest.param("model.0.conv", {"dilation": (99, 99)}, "does not fit", id="a huge window"),
        pytest.param("model.0.conv", {"bias": ONE}, "adds 1 numbers to 8", id="too short a bias"),
        pytest.param("model.3.cv2.0.0", {"bias": ONE}, "adds 1 numbers to 16", id="in the head"),
        pytest.param("model.0.bn", {"bias": ONE}, "the 8 channels before", id="too short a shift"),
        pytest.param("model.0.bn", {"eps": float("nan")}, "a finite number", id="eps is no number"),
    ],
)
def test_refuses_layers_that_contradict_themselves(write, path, change, message):
    model = tiny_pose()
    part(model, path).update(change)
    with pytest.raises(ModelError, match=message):
        write(model)


def test_names_the_layer_that_it_does_not_know(write):
    model = tiny_pose()
    part(model, "model")["_modules"]["1"].name = "ultralytics.nn.modules.block.RepNCSPELAN4"
    with pytest.raises(ModelError, match=r"layer model\.1 is a 'RepNCSPELAN4'.*with ultralytics"):
        write(model)


def test_names_the_head_of_another_family(write):
    model = tiny_pose()
    part(model, "model")["_modules"]["3"].name = "ultralytics.nn.modules.head.Segment26"
    with pytest.raises(ModelError, match="a 'Segment26', expected one of Pose, Pose26"):
        write(model)


def test_the_end_to_end_half_of_a_head_is_not_needed(write):
    model = tiny_pose()
    part(model, "model.3")["_modules"]["one2one_cv2"] = numbered("ModuleList", module("Conv2d"))
    np.testing.assert_array_equal(run(write(model), noise()), run(write(tiny_pose()), noise()))


def test_a_head_that_kept_its_end_to_end_half_only_is_written(write):
    model, branches = tiny_pose(scores=(1.0, 0.0)), part(tiny_pose(), "model.3")["_modules"]
    kept = {f"one2one_{name}": branches[name] for name in ("cv2", "cv3", "cv4")}
    part(model, "model.3")["_modules"] = {"dfl": branches["dfl"], **kept}
    np.testing.assert_array_equal(run(write(model), noise()), run(write(tiny_pose()), noise()))


def test_refuses_weights_that_float16_cannot_hold(write):
    model = tiny_pose()
    part(model, "model.0.bn")["_parameters"]["bias"] = Tensor(np.full(8, 1e6, np.float32))
    write(model, half=False)
    with pytest.raises(ModelError, match=r"model\.0\.conv\.bias .*largest float16"):
        write(model, half=True)


def test_refuses_weights_that_are_no_numbers(write):
    model = tiny_pose()
    part(model, "model.0.bn")["_parameters"]["weight"] = Tensor(np.full(8, np.nan, np.float32))
    with pytest.raises(ModelError, match="not all finite"):
        write(model)


@pytest.mark.parametrize("imgsz", [(0, 32), (-32, 32), (32, 33), (4, 4)])
def test_refuses_a_size_off_the_stride(write, imgsz):
    with pytest.raises(ModelError, match="expected multiples of its stride 8"):
        write(tiny_pose(), imgsz=imgsz)


def test_export_of_the_demo_weights_stays_under_300_mb(demo_weights, tmp_path):
    code = (
        "import pathlib, sys\n"
        "from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint\n"
        "from kp_pose_ros.models.checkpoint.writer import write_onnx\n"
        "checkpoint = read_checkpoint(pathlib.Path(sys.argv[1]))\n"
        "model = write_onnx(checkpoint, imgsz=(640, 640), batch=1)\n"
        "pathlib.Path(sys.argv[2]).write_bytes(model.SerializeToString())\n"
        "print(pathlib.Path('/proc/self/status').read_text())\n"
    )
    command = [sys.executable, "-c", code, demo_weights, tmp_path / "out.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) * 1024 < 300e6
