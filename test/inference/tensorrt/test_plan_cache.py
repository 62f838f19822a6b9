# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import threading
import time
from dataclasses import fields, replace

import pytest

from kp_pose_ros.inference.tensorrt import plan_cache
from kp_pose_ros.inference.tensorrt.plan_cache import (
    PlanFacts,
    cached_plan,
    discard,
    timing_cache_path,
)

FACTS = PlanFacts(
    graph="yolo11n-pose-384x640-fp32-0123456789abcdef.onnx",
    graph_sha256="0" * 64,
    gpu="Orin",
    compute_capability="8.7",
    tensorrt="TensorRT 10.3.0",
    precision="fp16",
    max_batch=4,
    workspace=1 << 30,
)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KP_POSE_CACHE", str(tmp_path))
    return tmp_path


def test_a_plan_is_built_once(folder):
    paths = {cached_plan(FACTS, lambda: b"plan"), cached_plan(FACTS, pytest.fail)}
    (path,) = paths
    assert path.read_bytes() == b"plan"
    assert path.name.startswith("yolo11n-pose-384x640-fp32-0123456789abcdef-fp16-b4-")


@pytest.mark.parametrize("field", [field.name for field in fields(PlanFacts)])
def test_a_change_of_any_fact_means_another_plan(field):
    value = getattr(FACTS, field)
    changed = replace(FACTS, **{field: value + 1 if isinstance(value, int) else f"other {value}"})
    assert changed.file_name != FACTS.file_name


def test_what_a_plan_was_built_from_is_written_beside_it():
    path = cached_plan(FACTS, lambda: b"plan")
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts["gpu"] == "Orin"
    assert facts["tensorrt"] == "TensorRT 10.3.0"


def test_a_damaged_plan_is_built_again():
    path = cached_plan(FACTS, lambda: b"plan")
    path.write_bytes(b"pl")
    assert cached_plan(FACTS, lambda: b"new plan").read_bytes() == b"new plan"


def test_a_discarded_plan_is_built_again():
    discard(cached_plan(FACTS, lambda: b"plan"))
    assert cached_plan(FACTS, lambda: b"new plan").read_bytes() == b"new plan"


def test_two_that_need_a_plan_at_once_build_it_once():
    builds = []

    def build():
        builds.append(None)
        time.sleep(0.2)
        return b"plan"

    threads = [threading.Thread(target=cached_plan, args=(FACTS, build)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_the_plans_used_longest_ago_make_room(monkeypatch):
    monkeypatch.setattr(plan_cache, "SIZE_LIMIT", 250)
    plans = []
    for age, gpu in [(300, "a"), (200, "b"), (100, "c")]:
        plans.append(cached_plan(replace(FACTS, gpu=gpu), lambda: b"p" * 100))
        os.utime(plans[-1], (time.time() - age,) * 2)
    cached_plan(replace(FACTS, gpu="c"), pytest.fail)
    assert [plan.exists() for plan in plans] == [False, True, True]
    assert not plans[0].with_suffix(".json").exists()


def test_a_plan_larger_than_the_limit_stays_while_it_is_used(monkeypatch):
    monkeypatch.setattr(plan_cache, "SIZE_LIMIT", 10)
    assert cached_plan(FACTS, lambda: b"p" * 100).exists()


def test_layer_times_are_kept_by_gpu_and_version():
    others = [replace(FACTS, gpu="Xavier"), replace(FACTS, tensorrt="TensorRT 8.6.1")]
    paths = {timing_cache_path(facts) for facts in (FACTS, *others, replace(FACTS, max_batch=1))}
    assert len(paths) == 3
