# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plans in the cache: of the simulated GPU, and real ones of TensorRT for RTX.

Without a GPU the real ones are built, but refused when they are loaded.
"""

import errno
import json
import os
import time
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from echo_model import write_echo_model
from pose_graphs import COCO, constant_model, random_raw, run

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.gpu import GpuInfo
from kp_pose_ros.models.cache import content_hash, locked
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.models.prepare import prepare

SIZE = (64, 96)
INFO = GpuInfo("NVIDIA GeForce RTX 4090", "8.9", 128, shares_memory=False)


# The cache


@pytest.fixture
def plans(engines):
    """The module, imported with the stand-in for TensorRT."""
    return engines("plans")


@pytest.fixture
def facts(plans):
    return plans.PlanFacts(
        graph_sha256="0" * 64,
        gpu="Orin",
        compute_capability="8.7",
        multiprocessors=16,
        tensorrt="TensorRT 10.3.0",
        precision="fp16",
        max_batch=4,
        workspace=1 << 30,
    )


FIELDS = ["graph_sha256", "gpu", "compute_capability", "multiprocessors", "tensorrt"]
FIELDS += ["precision", "max_batch", "workspace"]
GRAPH = Path("yolo11n-pose-384x640-fp16-0123456789abcdef.onnx")


def test_every_fact_is_tried(facts):
    assert [field.name for field in fields(facts)] == FIELDS


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_any_fact_means_another_plan(facts, field):
    value = getattr(facts, field)
    changed = replace(facts, **{field: value + 1 if isinstance(value, int) else f"other {value}"})
    assert changed.file_name(GRAPH) != facts.file_name(GRAPH)


def test_a_plan_has_the_name_of_its_graph_but_not_the_graphs_hash(facts):
    name = facts.file_name(GRAPH)
    assert name.startswith("yolo11n-pose-384x640-fp16-b4-")
    assert facts.file_name(Path("yolo11n-pose-384x640-fp16-another.onnx")) == name


def test_layer_times_are_kept_by_gpu_and_version(facts):
    others = [
        replace(facts, multiprocessors=8),
        replace(facts, gpu="Thor"),
        replace(facts, tensorrt="TensorRT 10.16.1"),
    ]
    names = {each.timing_cache_name() for each in (facts, *others, replace(facts, max_batch=1))}
    assert len(names) == 4


@pytest.fixture
def open_network(plans, engines, tmp_path):
    """Open the echo model's network on the simulated GPU: open_network() -> its plan."""
    model = PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))
    gpu = engines("gpu").Gpu()

    def open_network():
        with gpu.current():
            network = plans.NetworkSource(model, plans.BuildOptions(1, "fp32"), gpu).open(SIZE)
            network.close()
        return network.plan

    yield open_network
    gpu.close()


@pytest.mark.parametrize("name", ["*.plan", "timing-*.cache"])
def test_a_build_waits_for_one_of_another_process_and_says_so(
    open_network, plans, machine, monkeypatch, name
):
    """Neither the same plan nor another one for the same GPU is built by two at once."""
    plan = open_network()
    plan.unlink()
    (made,) = [*plan.parent.glob(name)] or [plan]
    reports = SimpleQueue()
    monkeypatch.setattr(type(plans.QUIET), "__call__", lambda _, *report: reports.put(report))
    with ThreadPoolExecutor(1) as other:
        with locked(made.with_name(f".{made.name}.lock")):
            opening = other.submit(open_network)
            assert reports.get() == ("waiting for another process", 0, 0)
            assert builds_by(machine) == 1
        assert opening.result() == plan
    assert builds_by(machine) == 2


def test_a_refused_plan_that_another_process_has_replaced_is_not_built_again(
    open_network, plans, machine, monkeypatch
):
    plan = open_network()
    good, real = plan.read_bytes(), plans.cached
    write_whole(plan, b"made for another driver")

    def replaced_before(*arguments, **more):
        write_whole(plan, good)
        return real(*arguments, **more)

    monkeypatch.setattr(plans, "cached", replaced_before)
    assert open_network() == plan
    assert builds_by(machine) == 1


def builds_by(machine):
    return machine.calls.count("build_serialized_network")


def test_what_a_plan_was_built_from_is_written_beside_it(open_network):
    facts = json.loads(open_network().with_suffix(".json").read_text())
    assert facts["gpu"] == "Rule Machine"
    assert facts["multiprocessors"] == 14
    assert facts["tensorrt"] == "TensorRT 10.3.0"


def other_user(*_arguments, **_options):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def read_only(*_arguments, **_options):
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize(
    "refuse",
    [
        pytest.param(other_user, id="of another user"),
        pytest.param(read_only, id="on a read-only image"),
    ],
)
def test_a_plan_in_a_cache_that_cannot_be_written_is_used(
    open_network, machine, monkeypatch, refuse
):
    plan = open_network()
    monkeypatch.setattr(os, "utime", refuse)
    for function in ("write_bytes", "write_text", "unlink", "mkdir", "replace", "touch"):
        monkeypatch.setattr(Path, function, refuse)
    assert open_network() == plan
    assert builds_by(machine) == 1


def test_a_refused_plan_that_cannot_be_replaced_is_built_elsewhere(
    open_network, machine, monkeypatch, tmp_path
):
    plan = open_network()
    write_whole(plan, b"made for another driver")
    real = Path.open

    def open_but_not_here(path, mode="r", **more):
        if path.parent == plan.parent and mode[0] in "wa":
            read_only()
        return real(path, mode, **more)

    monkeypatch.setattr(Path, "open", open_but_not_here)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    elsewhere = open_network()
    assert elsewhere.name == plan.name
    assert elsewhere.parent.parent == tmp_path
    assert elsewhere.parent != plan.parent
    assert open_network() == elsewhere
    assert builds_by(machine) == 2


def write_whole(plan, content):
    plan.write_bytes(content)
    plan.with_name(f"{plan.name}.sha256").write_text(content_hash(plan))


@pytest.fixture
def three_plans(tmp_path):
    """Three plans of 100 bytes, used longest ago first."""
    paths = []
    for age in (300, 200, 100):
        paths.append(tmp_path / f"{age}.plan")
        write_whole(paths[-1], b"p" * 100)
        paths[-1].with_suffix(".json").write_text("{}")
        os.utime(paths[-1], (time.time() - age,) * 2)
    return paths


def test_the_plans_used_longest_ago_make_room(plans, facts, three_plans, monkeypatch):
    monkeypatch.setattr(plans, "SIZE_LIMIT", 250)
    plans.note_use(three_plans[1], facts)
    assert [plan.exists() for plan in three_plans] == [False, True, True]
    assert not [*three_plans[0].parent.glob("300.*")]


def test_plans_that_cannot_be_removed_stay(plans, facts, three_plans, monkeypatch):
    monkeypatch.setattr(plans, "SIZE_LIMIT", 50)
    monkeypatch.setattr(Path, "unlink", other_user)
    plans.note_use(three_plans[2], facts)
    assert all(plan.exists() for plan in three_plans)


def test_a_plan_larger_than_the_limit_stays_while_it_is_used(
    plans, facts, three_plans, monkeypatch
):
    monkeypatch.setattr(plans, "SIZE_LIMIT", 10)
    plans.note_use(three_plans[0], facts)
    assert three_plans[0].exists()


# Real plans


@pytest.fixture
def builds():
    """The graphs that were built."""
    return []


@pytest.fixture
def source(monkeypatch, tmp_path, builds):
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    module = import_module("kp_pose_ros.inference.tensorrt.plans")
    monkeypatch.setattr("kp_pose_ros.inference.tensorrt.builder.ONLY_THIS_GPU", False)
    build = module.build_plan

    def count_and_build(graph, *arguments, **more):
        builds.append(graph)
        return build(graph, *arguments, **more)

    monkeypatch.setattr(module, "build_plan", count_and_build)
    model = PoseModel.open(write_echo_model(tmp_path / "echo.onnx"))
    gpu = types.SimpleNamespace(info=INFO, check=lambda doing: None, lost="")
    return module.NetworkSource(model, module.BuildOptions(4, "fp32"), gpu)


pytestmark = pytest.mark.filterwarnings("ignore:.*TensorRT-RTX:DeprecationWarning")


def test_a_real_plan_is_built_and_refused_without_a_gpu(source, builds, tmp_path):
    with pytest.raises(EngineError, match=r"just built from .* cannot be loaded: TensorRT for RTX"):
        source.open(SIZE)
    assert len(builds) == 1
    (plan,) = tmp_path.glob("*.plan")
    assert plan.stat().st_size > 1000
    facts = json.loads(plan.with_suffix(".json").read_text())
    assert facts["gpu"] == "NVIDIA GeForce RTX 4090"
    assert facts["tensorrt"].startswith("TensorRT for RTX 1.")


def test_a_plan_that_is_refused_is_built_again_once(source, builds, caplog):
    """No driver here takes any plan: the reasons are TensorRT's own."""
    restarted = replace(source)
    for each in (source, restarted, restarted):
        with pytest.raises(EngineError, match=r"just built .* is not tried again until a restart"):
            each.open(SIZE)
    assert len(builds) == 2
    assert "cannot be used and is built again: TensorRT for RTX" in caplog.text


# Raw outputs of the user's own engines


@pytest.mark.parametrize(
    ("classes", "kpt_shape", "anchors"),
    [
        pytest.param(1, (17, 3), 5040, id="people"),
        pytest.param(3, (5, 2), 2000, id="three classes, keypoints without a score"),
        pytest.param(1, (17, 3), 126, id="fewer anchors than candidates"),
        pytest.param(2, (4, 3), 1024, id="as many"),
    ],
)
def test_selects_what_a_prepared_graph_selects(plans, classes, kpt_shape, anchors):
    raw = random_raw(classes, kpt_shape, anchors)
    names = {index: f"class {index}" for index in range(classes)}
    metadata = COCO | {"names": str(names), "kpt_shape": str(list(kpt_shape))}
    model = constant_model(raw, metadata=metadata)
    prepare(model, (64, 96))
    (expected,) = run(model, np.zeros((1, 3, 64, 96), np.float32))
    rows = plans.select_rows(raw, classes)
    order = np.argsort(-rows[:, 4], kind="stable")
    np.testing.assert_allclose(rows[order], expected, rtol=1e-6)
