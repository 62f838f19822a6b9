# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import onnx
import pytest

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.onnx.engine import OnnxEngine
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
    return PoseEstimator(engine, model.metadata.kpt_shape, DecodeSettings()).estimate([frame])[0]


def test_finds_the_people_of_the_single_precision_graph(graph, demo_weights, demo_photo):
    frame = Frame(demo_photo("bus.jpg"))
    expected, found = poses(demo_weights, frame), poses(graph, frame)
    assert len(found) == len(expected) == 3
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.1)
    sure = expected.keypoints[..., 2] > 0.5
    apart = np.linalg.norm(found.keypoints[sure] - expected.keypoints[sure], axis=-1)
    assert np.median(apart) < 10  # pixels of an 810 x 1080 photo


def test_is_quantized_as_tensorrt_takes_it(graph):
    model = onnx.load(graph)
    nodes = model.graph.node
    values = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    scaled = [node for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(scaled) > 100
    assert all(not values[node.input[2]].any() for node in scaled)
    assert {values[node.input[2]].dtype for node in scaled} == {np.dtype(np.int8)}


def test_what_gives_scores_and_coordinates_is_not_quantized(graph):
    model = onnx.load(graph)
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    plain = [node.name for node in convolutions if made_by[node.input[0]] != "DequantizeLinear"]
    # Three scales of boxes, scores and keypoints, and the fixed one that decodes boxes.
    assert len(plain) == 10
    assert len(convolutions) > 90


def test_is_what_int8_engines_are_built_of(graph, people):
    assert quantized_graph(people, SIZE) == graph


def test_a_folder_without_pictures_is_refused(people, tmp_path):
    with pytest.raises(SettingsError, match=f"the calibration folder {tmp_path} holds no picture"):
        calibrate(people, SIZE, tmp_path)


def test_a_picture_that_cannot_be_read_is_left_out(people, calibration_pictures, tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    picture = cv2.imread(str(next(calibration_pictures.iterdir())))
    cv2.imwrite(str(tmp_path / "b.png"), cv2.resize(picture, (160, 96)))
    calibrate(people, (96, 160), tmp_path)
    assert "a.jpg cannot be read: left out" in caplog.text
