# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import itertools
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from pose_graphs import rtmo

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.cores import Machine, Threads
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.onnx.engine import OnnxEngine, find_providers
from kp_pose_ros.models.model import PoseModel


@pytest.fixture(scope="session")
def model(demo_weights):
    return PoseModel.open(demo_weights)


def poses_of(engine, *pictures):
    return PoseEstimator(engine, engine._model, DecodeSettings()).estimate(
        [Frame(picture) for picture in pictures]
    )


# What ultralytics 8.4.190 finds with score 0.25 and IoU 0.7: box (x1 y1 x2 y2, pixels) and score.
REFERENCE = {
    ("bus.jpg", None): [
        (48.0, 399.9, 243.5, 905.9, 0.887),
        (669.0, 387.8, 810.0, 878.1, 0.881),
        (222.9, 405.0, 343.9, 859.1, 0.878),
        (0.0, 431.8, 67.9, 907.4, 0.458),
    ],
    ("bus.jpg", (640, 640)): [
        (669.1, 391.5, 810.0, 876.4, 0.882),
        (221.6, 404.6, 343.8, 858.7, 0.881),
        (48.3, 396.3, 245.8, 905.9, 0.88),
        (0.8, 556.0, 71.6, 868.5, 0.448),
    ],
    ("zidane.jpg", None): [
        (139.6, 204.2, 1041.8, 714.2, 0.891),
        (744.2, 37.2, 1142.2, 710.2, 0.84),
    ],
    ("zidane.jpg", (640, 640)): [
        (138.6, 203.9, 1047.9, 712.2, 0.895),
        (744.3, 37.2, 1142.6, 709.3, 0.847),
    ],
}


@pytest.mark.parametrize(("name", "imgsz"), REFERENCE, ids=str)
def test_the_same_people_as_the_reference(model, demo_photo, name, imgsz):
    (poses,) = poses_of(OnnxEngine(model, imgsz), demo_photo(name))
    expected = np.array(REFERENCE[name, imgsz])
    assert len(poses) == len(expected)
    np.testing.assert_allclose(poses.boxes, expected[:, :4], atol=1)
    np.testing.assert_allclose(poses.scores, expected[:, 4], atol=0.01)


def test_a_batch_of_different_shapes_gives_what_each_gives_alone(model, demo_photo):
    bus, zidane = demo_photo("bus.jpg"), demo_photo("zidane.jpg")
    pictures = [bus, zidane, cv2.flip(bus, 1), cv2.flip(zidane, 1)]
    engine = OnnxEngine(model, max_batch=4)
    alone = [poses_of(engine, picture)[0] for picture in pictures]
    together = poses_of(engine, *pictures)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=0.05)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_a_mirrored_picture_mirrors_left_and_right(model, demo_photo):
    zidane = demo_photo("zidane.jpg")
    (seen,), (mirrored,) = (poses_of(OnnxEngine(model), p) for p in (zidane, cv2.flip(zidane, 1)))
    nose, left_shoulder, right_shoulder = 0, 5, 6
    width = zidane.shape[1]
    order = np.argsort(width - mirrored.keypoints[:, nose, 0])
    points = mirrored.keypoints[order]
    expected = seen.keypoints[np.argsort(seen.keypoints[:, nose, 0])]
    swapped = width - points[:, (right_shoulder, left_shoulder), 0]
    np.testing.assert_allclose(swapped, expected[:, (left_shoulder, right_shoulder), 0], atol=25)


def test_the_encoding_of_the_camera_does_not_matter(model, demo_photo):
    picture = demo_photo("zidane.jpg")
    engine = OnnxEngine(model)
    estimator = PoseEstimator(engine, model, DecodeSettings())
    rgb = Frame(np.ascontiguousarray(picture[..., ::-1]), "rgb8")
    (from_rgb,) = estimator.estimate([rgb])
    (from_bgr,) = estimator.estimate([Frame(picture)])
    np.testing.assert_array_equal(from_rgb.keypoints, from_bgr.keypoints)


def test_more_camera_shapes_than_sessions_are_kept(model):
    engine = OnnxEngine(model)
    for height in (64, 128, 192, 256, 320, 384, 64):
        (poses,) = poses_of(engine, np.zeros((height, 640, 3), np.uint8))
        assert len(poses) == 0


def test_a_model_of_a_fixed_batch_takes_any_number_of_frames(model, demo_photo, tmp_path):
    fixed = tmp_path / "fixed.onnx"
    onnx.save(model.make_graph((384, 640), "fp32", batch=2), fixed)
    zidane = demo_photo("zidane.jpg")
    engine = OnnxEngine(PoseModel.open(fixed), max_batch=4)
    for count in (1, 2, 3):
        found = poses_of(engine, *[zidane] * count)
        assert [len(poses) for poses in found] == [2] * count


def test_stages_are_timed(model):
    engine = OnnxEngine(model)
    poses_of(engine, np.zeros((64, 64, 3), np.uint8))
    assert set(engine.times.seconds()) == {"convert", "letterbox", "infer", "decode"}


def test_a_graph_that_the_runtime_refuses_is_named(model, tmp_path, monkeypatch):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    monkeypatch.setattr(PoseModel, "graph", lambda *_: broken)
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        poses_of(OnnxEngine(model), np.zeros((64, 64, 3), np.uint8))


def test_two_batches_beside_each_other_find_what_each_finds_alone(model, demo_photo):
    frames = [Frame(demo_photo(name)) for name in ("bus.jpg", "zidane.jpg")]
    engine = OnnxEngine(model)
    alone = [engine.submit([frame]).result() for frame in frames]
    together = [engine.submit([frame]) for frame in frames]
    for one, other in zip(alone, together, strict=True):
        for expected, found in zip(one, other.result(), strict=True):
            np.testing.assert_allclose(found.rows[:50], expected.rows[:50], atol=0.05)


@pytest.mark.parametrize(
    "threads",
    [
        pytest.param(Threads(1, spin=False), id="one"),
        pytest.param(Threads(2, spin=False), id="two that sleep"),
        pytest.param(Threads(3, spin=True), id="three that spin"),
    ],
)
def test_other_threads_find_the_same_people_while_it_runs(model, demo_photo, threads):
    engine = OnnxEngine(model)
    (before,) = poses_of(engine, demo_photo("bus.jpg"))
    engine._watch = SimpleNamespace(threads=lambda: threads)
    poses_of(engine, demo_photo("bus.jpg"))
    engine._opener.submit(int).result()  # the new session is open
    (after,) = poses_of(engine, demo_photo("bus.jpg"))
    (network,) = engine._networks.values()
    assert network._threads == threads
    np.testing.assert_allclose(after.keypoints, before.keypoints, atol=0.05)
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-4)


def grey_model(path):
    """Save a model of one channel, whose best score is how bright the picture is."""
    brightness = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
            helper.make_node("Reshape", ["mean", "shape"], ["value"]),
            helper.make_node("Expand", ["value", "raw"], ["output0"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 1, 64, 96))],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, (1, 8, 126))],
        [
            numpy_helper.from_array(np.array([0, 1, 1]), "shape"),
            numpy_helper.from_array(np.array([1, 8, 126]), "raw"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(brightness, opset_imports=[opset], ir_version=8), path)
    found = onnx.load(path)
    helper.set_model_props(found, {"names": "{0: 'x'}", "kpt_shape": "[1, 3]"})
    onnx.save(found, path)
    return path


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Frame(np.full((64, 96), 51, np.uint8), "mono8"), id="a grey picture"),
        pytest.param(Frame(np.full((64, 96, 3), 51, np.uint8)), id="a colour picture"),
        pytest.param(Frame(np.full((128, 192), 51, np.uint8), "mono8"), id="a larger picture"),
    ],
)
def test_a_model_of_one_channel_sees_grey(tmp_path, frame):
    model = PoseModel.open(grey_model(tmp_path / "grey.onnx"))
    assert model.metadata.channels == 1
    (candidates,) = OnnxEngine(model).submit([frame]).result()
    np.testing.assert_allclose(candidates.rows[:, 4], 51 / 255, atol=1e-3)


def test_a_grey_picture_makes_no_detour_through_colour():
    pixels = np.zeros((64, 96), np.uint8)
    assert Frame(pixels, "mono8").to_gray() is pixels


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], ["CPUExecutionProvider"], id="none: the CPU"),
        pytest.param(["CPU"], ["CPUExecutionProvider"], id="the CPU by name"),
        pytest.param(
            ["cuda"], ["CUDAExecutionProvider", "CPUExecutionProvider"], id="the CPU does the rest"
        ),
        pytest.param(
            ["TensorRT_RTX", "CUDAExecutionProvider"],
            ["TensorrtRTXExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
            id="two, the preferred one first",
        ),
    ],
)
def test_providers_are_found_by_short_and_full_names(names, expected, monkeypatch):
    monkeypatch.setattr(
        onnxruntime,
        "get_available_providers",
        lambda: [
            "TensorrtRTXExecutionProvider",
            "CUDAExecutionProvider",
            "CPUExecutionProvider",
        ],
    )
    assert find_providers(names) == expected


def test_a_provider_that_this_onnx_runtime_lacks_is_named(model):
    with pytest.raises(SettingsError, match=r"no execution provider QNN: expected one of .*CPU"):
        OnnxEngine(model, providers=["QNN"])


def test_a_provider_that_does_not_start_is_no_reason_to_run_on_the_cpu(model, monkeypatch):
    everywhere = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: everywhere)
    with pytest.raises(EngineError, match="did not start CUDAExecutionProvider, only CPU"):
        poses_of(OnnxEngine(model, providers=["CUDA"]), np.zeros((64, 64, 3), np.uint8))


def test_cuda_chooses_its_algorithms_without_trying_all(model, monkeypatch):
    everywhere = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: everywhere)
    opened = []

    def open_session(_graph, _options, providers):
        opened.append(dict(providers))
        raise RuntimeError("no GPU here")

    monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
    with pytest.raises(EngineError, match="no GPU here"):
        poses_of(OnnxEngine(model, providers=["CUDA"]), np.zeros((64, 64, 3), np.uint8))
    heuristic = {"cudnn_conv_algo_search": "HEURISTIC"}
    assert opened == [{"CUDAExecutionProvider": heuristic, "CPUExecutionProvider": {}}]


@pytest.mark.parametrize(
    ("providers", "is_opened_again"),
    [
        pytest.param([], True, id="the CPU"),
        pytest.param(["CUDA"], False, id="a GPU"),
    ],
)
def test_only_on_the_cpu_a_load_opens_another_session(
    model, monkeypatch, providers, is_opened_again
):
    opened = []

    class MadeUpSession:
        fixed_batch = None

        def __init__(self, _graph, threads, providers):
            opened.append((threads, providers))

        def run(self, batch):
            return np.zeros((len(batch), 1, 57), np.float32)

    everywhere = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: everywhere)
    monkeypatch.setattr("kp_pose_ros.inference.onnx.engine.OrtSession", MadeUpSession)
    monkeypatch.setattr("kp_pose_ros.inference.cores.monotonic", itertools.count().__next__)
    monkeypatch.setattr(Machine, "cores", lambda _: {0, 1, 2, 3})
    engine = OnnxEngine(model, providers=providers)
    busy = itertools.count(0, 100)
    monkeypatch.setattr(Machine, "busy_seconds", lambda *_: next(busy))
    for _ in range(3):
        poses_of(engine, np.zeros((64, 64, 3), np.uint8))
    engine.close()
    assert (len(opened) > 1) is is_opened_again


def test_people_of_rtmo_come_back_through_letterbox_and_batch(tmp_path):
    """The network's input is 64 x 96; its results are in its own pixels."""
    points = np.array([[[10, 20, 0.9], [30, 40, 0.1]], [[50, 60, 0.8], [90, 10, 0.7]]])
    dets = np.array([[8, 12, 40, 56, 0.875], [48, 8, 92, 60, 0.75]])
    onnx.save(rtmo((dets, points), blue=0), tmp_path / "rtmo.onnx")
    model = PoseModel.open(tmp_path / "rtmo.onnx")
    estimator = PoseEstimator(OnnxEngine(model, max_batch=3), model, DecodeSettings())
    shapes = [(64, 96), (128, 192), (128, 96)]  # as it is, halved, halved and padded by 24 and 24
    found = estimator.estimate([Frame(np.zeros((*shape, 3), np.uint8)) for shape in shapes])
    for poses, gain, left in zip(found, (1, 2, 2), (0, 0, 24), strict=True):
        offset = np.array((left, 0))
        limits = np.array(shapes[(gain > 1) + (left > 0)][::-1])
        corners = np.clip((dets[:, :4].reshape(2, 2, 2) - offset) * gain, 0, limits)
        np.testing.assert_allclose(poses.boxes, corners.reshape(2, 4), atol=1e-4)
        np.testing.assert_allclose(poses.scores, [0.875, 0.75])
        expected = np.clip((points[..., :2] - offset) * gain, 0, limits)
        np.testing.assert_allclose(poses.keypoints[..., :2], expected, atol=1e-4)
        np.testing.assert_allclose(poses.keypoints[..., 2], points[..., 2], atol=1e-6)
