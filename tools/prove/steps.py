# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps in the order in which they run, and how long each may take: eight minutes together."""

from __future__ import annotations

from collections.abc import Iterator

from . import engines, faults, kernels
from .results import DRIVER, NETWORKS, Case, Result, Step
from .stand_in import why_no_tensorrt


def tensorrt(case: Case) -> Iterator[Result]:
    """TensorRT builds and loads a network of one layer here; else torch stands in for it."""
    reason = why_no_tensorrt()
    yield Result("TensorRT", "SKIP" if reason else "PASS", note=reason)


STEPS = {
    "versions": Step(kernels.versions, 10, DRIVER),
    "letterbox_kernels": Step(kernels.letterbox_kernels, 30, DRIVER),
    "sanitizer": Step(kernels.sanitizer, 35, DRIVER),
    "copies": Step(kernels.copies, 10, DRIVER),
    "tensorrt": Step(tensorrt, 30, DRIVER),
    "plans": Step(engines.plans, 120, NETWORKS),
    "poses": Step(engines.poses, 45, NETWORKS),
    "int8": Step(engines.int8, 50, NETWORKS),
    "submits": Step(engines.submits, 40, NETWORKS),
    "overlap": Step(engines.overlap, 10, NETWORKS),
    "bad_address": Step(faults.bad_address, 15, NETWORKS),
    "out_of_memory": Step(faults.out_of_memory, 15, NETWORKS),
    "context_after_close": Step(faults.context_after_close, 10, NETWORKS),
    "leaks": Step(engines.leaks, 25, NETWORKS),
    "bench": Step(engines.bench, 35, NETWORKS),
}
