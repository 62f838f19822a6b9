# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Engine plans in the cache folder: what each was built from, and which are kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from kp_pose_ros.models.cache import cache_folder, cached

SIZE_LIMIT = 4 << 30  # bytes of all plans together; the least recently used ones go first
SUFFIX = ".plan"


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Everything that a plan depends on; a change of any of it means to build anew.

    Attributes:
        graph: name of the prepared ONNX file.
        graph_sha256: hash of its content.
        gpu: the GPU's name.
        compute_capability: such as "8.7".
        tensorrt: flavour and version.
        precision: fp32, fp16 or int8.
        max_batch: the largest batch.
        workspace: bytes that TensorRT may use for intermediate results.
    """

    graph: str
    graph_sha256: str
    gpu: str
    compute_capability: str
    tensorrt: str
    precision: str
    max_batch: int
    workspace: int

    @property
    def file_name(self) -> str:
        """A name that tells people the main facts and holds a hash of all."""
        digest = hashlib.sha256(self.as_json().encode()).hexdigest()[:16]
        return f"{Path(self.graph).stem}-{self.precision}-b{self.max_batch}-{digest}{SUFFIX}"

    def as_json(self) -> str:
        """Return the facts for people to read."""
        return json.dumps(asdict(self), indent=2) + "\n"


def cached_plan(facts: PlanFacts, build: Callable[[], bytes]) -> Path:
    """Return the path of the plan with these facts; `build` makes it if it is not in the cache.

    Of several processes that need the same plan at once one builds and the others wait for it.

    Raises:
        ModelError: the cache folder cannot be written. What `build` raises comes through.
    """

    def make() -> bytes:
        plan = build()
        (cache_folder() / facts.file_name).with_suffix(".json").write_text(facts.as_json())
        return plan

    path = cached(facts.file_name, make)
    os.utime(path)  # it was used just now
    _drop_oldest(path)
    return path


def timing_cache_path(facts: PlanFacts) -> Path:
    """Return the file that keeps measured layer times for this TensorRT on this GPU."""
    owner = f"{facts.tensorrt} {facts.gpu} {facts.compute_capability}"
    return cache_folder() / f"timing-{hashlib.sha256(owner.encode()).hexdigest()[:16]}.cache"


def discard(plan: Path) -> None:
    """Remove a plan from the cache, so that it is built again."""
    plan.unlink(missing_ok=True)


def _drop_oldest(used: Path) -> None:
    plans = sorted(used.parent.glob(f"*{SUFFIX}"), key=_last_use, reverse=True)
    total = 0
    for plan in plans:
        total += plan.stat().st_size
        if total > SIZE_LIMIT and plan != used:
            plan.with_suffix(".json").unlink(missing_ok=True)
            discard(plan)


def _last_use(path: Path) -> float:
    return path.stat().st_mtime
