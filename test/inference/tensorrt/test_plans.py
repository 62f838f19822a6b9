# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cache with real plans of TensorRT for RTX, which are refused where there is no GPU."""

import json
import types
from functools import partial
from importlib import import_module

import pytest
from echo_model import write_echo_model

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.gpu import GpuInfo
from kp_pose_ros.models.model import PoseModel

SIZE = (64, 96)
INFO = GpuInfo("NVIDIA GeForce RTX 4090", "8.9", 24 << 30, shares_memory=False)


@pytest.fixture
def builds():
    """The graphs that were built."""
    return []


@pytest.fixture
def source(monkeypatch, tmp_path, builds):
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    module = import_module("kp_pose_ros.inference.tensorrt.plans")
    build = partial(module.build_plan, for_this_gpu=False)

    def count_and_build(graph, *arguments, **more):
        builds.append(graph)
        return build(graph, *arguments, **more)

    monkeypatch.setattr(module, "build_plan", count_and_build)
    model = PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))
    gpu = types.SimpleNamespace(info=INFO)
    return module.NetworkSource(model, module.BuildOptions(4, "fp32"), gpu)


pytestmark = pytest.mark.filterwarnings("ignore:.*TensorRT-RTX:DeprecationWarning")


def test_a_plan_is_built_once(source, builds):
    plan = source.path(SIZE)
    assert source.path(SIZE) == plan
    assert len(builds) == 1
    assert plan.stat().st_size > 1000
    facts = json.loads(plan.with_suffix(".json").read_text())
    assert facts["gpu"] == "NVIDIA GeForce RTX 4090"
    assert facts["tensorrt"].startswith("TensorRT for RTX 1.")


def test_a_damaged_plan_is_built_again(source, builds):
    plan = source.path(SIZE)
    whole = plan.stat().st_size
    plan.write_bytes(plan.read_bytes()[:-100])
    assert source.path(SIZE).stat().st_size == whole
    assert len(builds) == 2


def test_a_plan_that_is_refused_is_built_again_once(source, builds, caplog):
    """No driver here takes any plan: the reasons are TensorRT's own."""
    with pytest.raises(EngineError, match=r"just built of .* cannot be loaded: TensorRT for RTX"):
        source.open(SIZE)
    assert len(builds) == 2
    assert "is built anew: TensorRT for RTX" in caplog.text
