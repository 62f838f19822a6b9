# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import onnxruntime
import pytest

from kp_pose_ros.errors import EngineError, ModelError, SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference import factory
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import EstimatorSettings, build_engine, make_estimator
from kp_pose_ros.inference.tensorrt import gpu as availability
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.settings import ENGINES


def test_every_engine_that_can_be_chosen_can_be_made():
    assert tuple(factory._MAKERS) == ENGINES


@pytest.mark.parametrize(
    ("gpu", "level", "reason"),
    [
        pytest.param(False, "INFO", "since no NVIDIA GPU was found", id="no GPU"),
        pytest.param(True, "WARNING", "although there is an NVIDIA GPU, because there is no "
                     "TensorRT", id="a GPU without TensorRT"),
    ],
)  # fmt: skip
def test_auto_says_once_what_it_chose_and_why(
    demo_weights, caplog, monkeypatch, tmp_path, gpu, level, reason
):
    monkeypatch.setattr(availability, "GPU_FILES", [tmp_path / "gpu"])
    monkeypatch.setattr(factory, "why_unavailable", lambda: "there is no TensorRT")
    monkeypatch.setattr(factory, "_has_bfloat16", lambda: False)
    if gpu:
        (tmp_path / "gpu").touch()
    factory._say_once.cache_clear()
    with caplog.at_level(logging.INFO, "kp_pose_ros"):
        for _ in range(2):
            make_estimator(EstimatorSettings(demo_weights))
    (record,) = [each for each in caplog.records if "engine auto" in each.message]
    assert record.levelname == level
    assert record.message.startswith(f"engine auto: ONNX Runtime {onnxruntime.__version__} on the ")
    assert reason in record.message


@pytest.mark.parametrize(
    ("has_bfloat16", "change", "expected"),
    [
        pytest.param(True, {}, "_openvino", id="a CPU with bfloat16"),
        pytest.param(False, {}, "_onnx", id="another CPU"),
        pytest.param(True, {"providers": ("CUDA",)}, "_onnx", id="providers ask for ONNX Runtime"),
    ],
)
def test_auto_takes_what_is_fastest_here(demo_weights, monkeypatch, has_bfloat16, change, expected):
    made = []
    for name in ("_openvino", "_onnx"):
        maker = SimpleNamespace(name=name)
        monkeypatch.setattr(factory, name, lambda *_, maker=maker: made.append(maker.name) or maker)
    monkeypatch.setattr(factory, "why_unavailable", lambda: "there is no GPU")
    monkeypatch.setattr(factory, "_has_bfloat16", lambda: has_bfloat16)
    make_estimator(EstimatorSettings(demo_weights, **change))
    assert made == [expected]


def test_openvino_that_is_not_installed_is_named(demo_weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "kp_pose_ros.inference.openvino.engine", raising=False)
    with pytest.raises(EngineError, match="pip install openvino"):
        make_estimator(EstimatorSettings(demo_weights, engine="openvino"))


def test_the_layout_that_the_user_names_counts(demo_weights, tmp_path):
    path = tmp_path / "pose.onnx"
    onnx.save(PoseModel.open(demo_weights).make_graph((64, 96), "fp32"), path)
    found = [
        make_estimator(EstimatorSettings(path, engine="onnx", layout=layout))[
            0
        ].metadata.layout.value
        for layout in ("auto", "rows")
    ]
    assert found == ["candidates", "rows"]


def test_the_estimator_finds_people(demo_weights, demo_photo):
    model, estimator = make_estimator(EstimatorSettings(demo_weights, engine="onnx"))
    (poses,) = estimator.estimate([Frame(demo_photo("bus.jpg"))])
    estimator.engine.close()
    assert len(poses) == 4
    assert poses.keypoints.shape == (4, len(model.skeleton), 3)


def test_the_settings_reach_engine_and_decoding(demo_weights):
    settings = EstimatorSettings(
        demo_weights, engine="onnx", max_batch=3, decode=DecodeSettings(score_threshold=0.9)
    )
    _, estimator = make_estimator(settings)
    assert estimator.engine.max_batch == 3
    assert estimator.settings == DecodeSettings(score_threshold=0.9)


@pytest.mark.parametrize(
    ("change", "error", "phrase"),
    [
        pytest.param({"engine": "cuda"}, SettingsError, ", ".join(ENGINES), id="unknown engine"),
        pytest.param({"layout": "x"}, SettingsError, "expected one of auto, raw", id="no layout"),
        pytest.param({"engine": "tensorrt"}, EngineError, "cannot run here: ", id="no TensorRT"),
        pytest.param({"imgsz": (100, 100)}, SettingsError, "multiples of 32", id="wrong size"),
        pytest.param({"model": Path("/nowhere.pt")}, ModelError, "/nowhere.pt", id="no model"),
        pytest.param({"skeleton": "face5"}, ModelError, "face5", id="skeleton of another model"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(demo_weights, change, error, phrase):
    with pytest.raises(error, match=phrase) as refused:
        make_estimator(EstimatorSettings(**{"model": demo_weights, **change}))
    assert "\n" not in str(refused.value)


def test_what_is_built_ahead_is_made_once(demo_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    settings = EstimatorSettings(demo_weights, engine="onnx", imgsz=(96, 160))
    first, second = (build_engine(*make_estimator(settings), settings) for _ in range(2))
    assert first == second
    assert first.is_relative_to(tmp_path)
    assert first.stat().st_size > 1e6


def test_nothing_is_built_ahead_for_a_size_that_only_frames_tell(demo_weights):
    settings = EstimatorSettings(demo_weights, engine="onnx")
    with pytest.raises(SettingsError, match=r"set imgsz .* such as '384, 640' for 16:9"):
        build_engine(*make_estimator(settings), settings)


def test_onnx_without_its_runtime_says_how_to_install_it(demo_weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "kp_pose_ros.inference.onnx.engine", raising=False)
    with pytest.raises(EngineError, match="pip install onnxruntime"):
        make_estimator(EstimatorSettings(demo_weights, engine="onnx"))
