# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where OpenVINO is installed: what it finds is what ONNX Runtime finds."""

import importlib

import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.onnx.engine import OnnxEngine
from kp_pose_ros.models.model import PoseModel

pytest.importorskip("openvino")
openvino_engine = importlib.import_module("kp_pose_ros.inference.openvino.engine")


@pytest.fixture(scope="module")
def model(demo_weights):
    return PoseModel.open(demo_weights)


def poses_of(engine, *frames):
    return PoseEstimator(engine, engine._model, DecodeSettings()).estimate(frames)


def test_the_same_people_as_onnx_runtime(model, demo_photo):
    bus, zidane = demo_photo("bus.jpg"), demo_photo("zidane.jpg")
    frames = [Frame(picture) for picture in (bus, zidane, cv2.flip(bus, 1), cv2.flip(zidane, 1))]
    engine = openvino_engine.OpenVinoEngine(model, max_batch=4)
    shifts = []
    for found, expected in zip(
        poses_of(engine, *frames), poses_of(OnnxEngine(model, max_batch=4), *frames), strict=True
    ):
        assert len(found) == len(expected)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
        sure = expected.keypoints[..., 2] > 0.5
        apart = np.abs(found.keypoints - expected.keypoints)[sure][:, :2]
        shifts.append(np.linalg.norm(apart, axis=1))
    assert np.median(np.concatenate(shifts)) < 1  # pixel


def test_two_batches_beside_each_other_find_what_each_finds_alone(model, demo_photo):
    frames = [Frame(demo_photo(name)) for name in ("bus.jpg", "zidane.jpg")]
    engine = openvino_engine.OpenVinoEngine(model)
    alone = [engine.submit([frame]).result() for frame in frames]
    together = [engine.submit([frame]) for frame in frames]
    for one, other in zip(alone, together, strict=True):
        for expected, found in zip(one, other.result(), strict=True):
            np.testing.assert_allclose(found.rows[:50], expected.rows[:50], atol=1)


def test_a_device_that_is_not_there_is_named(model):
    with pytest.raises(SettingsError, match="finds no device NPX: expected one of CPU"):
        openvino_engine.OpenVinoEngine(model, device="NPX")


class Core:
    """A machine with a CPU and a GPU."""

    def __init__(self, **able):
        self._able = able

    def get_property(self, device, _name):
        return self._able[device]


@pytest.mark.parametrize(
    ("device", "able", "expected"),
    [
        pytest.param("CPU", ["FP32", "INT8"], "f32", id="an old CPU"),
        pytest.param("CPU", ["FP32", "FP16"], "f32", id="float16 saves no time on a CPU"),
        pytest.param("CPU", ["FP32", "FP16", "BF16"], "bf16", id="a CPU with bfloat16"),
        pytest.param("GPU", ["FP32", "FP16", "BIN"], "f16", id="a GPU"),
        pytest.param("NPU", ["FP32"], "f32", id="a device of float32 alone"),
    ],
)
def test_the_precision_is_what_the_device_is_fastest_in(device, able, expected):
    assert openvino_engine.device_precision(Core(**{device: able}), device) == expected
