# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import onnx
import pytest
from echo_model import write_echo_model
from pose_graphs import digest_of
from torch_file import checkpoint, save, tiny_pose

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.onnx.engine import OnnxEngine
from kp_pose_ros.inference.tensorrt import quantize
from kp_pose_ros.inference.tensorrt.quantize import calibrate, quantized_graph
from kp_pose_ros.models.model import PoseModel

SIZE = (384, 640)


@pytest.fixture(scope="module")
def people(demo_weights):
    return PoseModel.open(demo_weights)


@pytest.fixture(scope="module")
def graph(people, calibration_pictures):
    return calibrate(people, SIZE, calibration_pictures)


def poses(graph_or_weights, frame):
    model = PoseModel.open(graph_or_weights)
    engine = OnnxEngine(model, SIZE)
    return PoseEstimator(engine, model, DecodeSettings()).estimate([frame])[0]


def test_finds_the_people_of_the_single_precision_graph(graph, demo_weights, demo_photo):
    frame = Frame(demo_photo("bus.jpg"))
    expected, found = poses(demo_weights, frame), poses(graph, frame)
    assert len(found) == len(expected) == 3
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.1)
    sure = expected.keypoints[..., 2] > 0.5
    apart = np.linalg.norm(found.keypoints[sure] - expected.keypoints[sure], axis=-1)
    assert np.median(apart) < 6  # pixels of an 810 x 1080 photo


@pytest.fixture(scope="module")
def content(graph):
    return onnx.load(graph)


@pytest.fixture(scope="module")
def convolutions(content):
    return [node for node in content.graph.node if node.op_type == "Conv"]


@pytest.fixture(scope="module")
def made_by(content):
    return {name: node.op_type for node in content.graph.node for name in node.output}


def test_scales_are_float16_and_zero_points_are_0(content):
    """Opset 19 is the first whose QuantizeLinear takes float16; TensorRT takes no zero points."""
    assert content.opset_import[0].version == 19
    values = {each.name: onnx.numpy_helper.to_array(each) for each in content.graph.initializer}
    pairs = [node for node in content.graph.node if node.op_type == "DequantizeLinear"]
    pairs += [node for node in content.graph.node if node.op_type == "QuantizeLinear"]
    assert len(pairs) > 100
    assert {values[node.input[1]].dtype for node in pairs} == {np.dtype(np.float16)}
    assert {values[node.input[2]].dtype for node in pairs} == {np.dtype(np.int8)}
    assert not any(values[node.input[2]].any() for node in pairs)


def test_inputs_and_weights_of_convolutions_are_quantized(convolutions, made_by):
    kinds = [[made_by.get(name) for name in node.input[:2]] for node in convolutions]
    assert kinds.count(["DequantizeLinear", "DequantizeLinear"]) == len(convolutions) - 10
    assert len(convolutions) > 90


def test_outputs_of_convolutions_are_not_quantized(content, convolutions):
    """TensorRT's guide, Q/DQ Layer-Placement Recommendations: "By default, do not quantize the
    outputs of weighted-operations". SiLU comes before the next one.
    """
    outputs = {node.output[0] for node in convolutions}
    quantized = {n.input[0] for n in content.graph.node if n.op_type == "QuantizeLinear"}
    assert outputs & quantized == set()


def test_what_gives_scores_and_coordinates_is_not_quantized(convolutions, made_by):
    plain = [node.name for node in convolutions if made_by[node.input[0]] != "DequantizeLinear"]
    # Three scales of boxes, scores and keypoints, and the fixed one that decodes boxes.
    assert len(plain) == 10


def test_a_tensor_that_several_convolutions_read_is_quantized_once(content):
    sources = [n.input[0] for n in content.graph.node if n.op_type == "QuantizeLinear"]
    assert len(sources) == len(set(sources))


def test_is_what_int8_engines_are_built_of_with_a_word_of_warning(graph, people, caplog):
    assert quantized_graph(people, SIZE) == graph
    assert "precision int8 is experimental: keypoints move" in caplog.text


def test_networks_of_grey_pictures_are_calibrated_with_grey_ones(tmp_path, calibration_pictures):
    path = write_echo_model(tmp_path / "grey.onnx", channels=1, sides=(64, 96))
    assert calibrate(PoseModel.open(path), (64, 96), calibration_pictures).is_file()


def test_a_graph_that_changes_has_a_new_number(tmp_path):
    save(tmp_path / "pose.pt", checkpoint(tiny_pose()))
    model = PoseModel.open(tmp_path / "pose.pt")
    half = model.make_graph(model.metadata.imgsz, "fp16")
    count = [node.op_type for node in half.graph.node].count("Conv")
    made = quantize._quantize(half, [float(place) for place in range(count)])
    assert digest_of(made) == "c697d29986d132fe", (
        "the graph is not what it was: raise QUANTIZED_VERSION in quantize.py, now "
        f"{quantize.QUANTIZED_VERSION}, and write the new digest here"
    )


def test_another_number_means_another_file(graph, people, monkeypatch):
    monkeypatch.setattr(quantize, "QUANTIZED_VERSION", quantize.QUANTIZED_VERSION + 1)
    with pytest.raises(EngineError, match="needs a calibrated graph"):
        quantized_graph(people, SIZE)


def test_a_folder_without_pictures_is_refused(people, tmp_path):
    with pytest.raises(SettingsError, match=f"the calibration folder {tmp_path} has no pictures"):
        calibrate(people, SIZE, tmp_path)


def test_a_picture_that_cannot_be_read_is_left_out(tmp_path, caplog):
    model = PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((64, 96, 3), np.uint8))
    calibrate(model, (64, 96), tmp_path)
    assert "calibration picture left out: " in caplog.text
    assert "a.jpg cannot be decoded" in caplog.text
