# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a model file to a loaded network: the user's engine, a plan in the cache, or a new one."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import EngineError, ModelError
from kp_pose_ros.inference.decode import BOX, CLASS, KEYPOINTS, SCORE
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import NAME
from kp_pose_ros.inference.tensorrt.builder import (
    WORKSPACE,
    BuildError,
    BuildOptions,
    build_plan,
    graph_for,
)
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.inference.tensorrt.network import Network, PlanRefusedError
from kp_pose_ros.models.cache import cached, content_hash, find_cached, locked, remove
from kp_pose_ros.models.engine_file import read_engine_header
from kp_pose_ros.models.layouts import MAX_CANDIDATES, Layout
from kp_pose_ros.models.metadata import fit_output
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.poses import Floats

SIZE_LIMIT = 4 << 30  # bytes of all plans in a folder; the least recently used ones go first
SUFFIX = ".plan"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Everything that a plan depends on; a change of any of it means another plan.

    See `GpuInfo` and `BuildOptions`.
    """

    graph_sha256: str  # of the prepared ONNX file
    gpu: str
    compute_capability: str
    multiprocessors: int
    tensorrt: str  # flavour and version
    precision: str
    max_batch: int
    workspace: int = WORKSPACE

    def file_name(self, graph: Path) -> str:
        """Return the name of the plan of a graph: for people, model, size and so on; and a hash."""
        label = graph.stem.rpartition("-")[0]  # without the graph's own hash
        digest = hashlib.sha256(self.as_json().encode()).hexdigest()[:16]
        return f"{label}-b{self.max_batch}-{digest}{SUFFIX}"

    def timing_cache_name(self) -> str:
        """Return the name of the file with layer times of this TensorRT on this GPU."""
        owner = f"{self.tensorrt} {self.gpu} {self.compute_capability} {self.multiprocessors}"
        return f"timing-{hashlib.sha256(owner.encode()).hexdigest()[:16]}.cache"

    def as_json(self) -> str:
        """Return the facts for people to read."""
        return json.dumps(asdict(self), indent=2) + "\n"


def is_engine(model: PoseModel) -> bool:
    """Return whether the model file is an engine already."""
    return model.path.suffix.lower() == ".engine"


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """Opens the networks of one model on one GPU."""

    model: PoseModel  # the model; an .engine file is used as it is
    options: BuildOptions  # how to build the engines of other files
    gpu: Gpu  # what they run on; its context must be current in every method
    progress: Progress = QUIET  # receives the reports of a build
    _failed: dict[Size, str] = field(default_factory=dict, init=False)

    def open(self, size: Size) -> Network:
        """Return the network for inputs of (height, width).

        A build that failed is not repeated: every image would wait for it again.

        Raises:
            EngineError: TensorRT cannot build or load it.
            ModelError: the model cannot be prepared for that size, or the output of the user's
                engine is not that of the model's layout.
        """
        if is_engine(self.model):
            return self._open_users_own(size)
        if size not in self._failed:
            try:
                return self._open_or_build(size)
            except BuildError as error:
                self.gpu.check("building the engine")
                self._failed[size] = f"{error}; it is not tried again until a restart"
        raise EngineError(self._failed[size])

    def _open_or_build(self, size: Size) -> Network:
        graph = graph_for(self.model, size, self.options.precision)
        facts = self._facts(graph)
        name = facts.file_name(graph)
        refused = []
        for plan in find_cached(name):
            try:
                network = self._load(plan, size)
            except PlanRefusedError as refusal:
                refused.append(content_hash(plan))
                _log.warning("the engine %s cannot be used and is built again: %s", plan, refusal)
            else:
                note_use(plan, facts)
                return network
        plan = cached(
            name,
            lambda: self._build(graph, facts),
            accept=lambda sha256: sha256 not in refused,
            waiting=self.progress.waiting,
        )
        note_use(plan, facts)
        try:
            return self._load(plan, size)
        except PlanRefusedError as refusal:
            raise BuildError(
                f"the engine that was just built from {self.model.path} cannot be loaded: "
                f"{refusal}; check that the driver is one that this TensorRT supports"
            ) from refusal

    def to_rows(self, output: npt.NDArray[np.floating]) -> Floats:
        """Return the candidate rows of one picture's output, in memory of their own."""
        metadata = self.model.metadata
        if is_engine(self.model) and metadata.layout is Layout.RAW:
            return select_rows(output, len(metadata.class_names))
        return output.astype(np.float32)

    def _open_users_own(self, size: Size) -> Network:
        path, metadata = self.model.path, self.model.metadata
        _, start = read_engine_header(path)
        try:
            network = self._load(path, size, start)
        except PlanRefusedError as refusal:
            raise EngineError(
                f"{path} does not run here, because {refusal}; an engine runs only with the "
                "TensorRT version and on the GPU model that it was built with: give the .pt or "
                ".onnx file that it was made from"
            ) from refusal
        try:
            output = (None, *network.output)
            fit_output(
                metadata.class_names, metadata.kpt_shape, metadata.layout, output, source=path
            )
        except ModelError:
            network.close()
            raise
        return network

    def _load(self, plan: Path, size: Size, start: int = 0) -> Network:
        picture = (self.model.metadata.channels, *size)
        return Network(plan, self.gpu, picture, self.options.max_batch, start=start)

    def _facts(self, graph: Path) -> PlanFacts:
        gpu = self.gpu.info
        return PlanFacts(
            graph_sha256=content_hash(graph),
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            multiprocessors=gpu.multiprocessors,
            tensorrt=NAME,
            precision=self.options.precision,
            max_batch=self.options.max_batch,
        )

    def _build(self, graph: Path, facts: PlanFacts) -> bytes:
        _log.info("building the engine of %s with %s on %s", graph.name, NAME, self.gpu.info)
        times = graph.with_name(facts.timing_cache_name())
        with ExitStack() as held:
            # One build at a time on a GPU: others would change its times, and share their file.
            with suppress(OSError):  # of a folder that cannot be written
                lock = times.with_name(f".{times.name}.lock")
                held.enter_context(locked(lock, self.progress.waiting))
            return build_plan(graph, self.options, progress=self.progress, timing_cache=times)


def note_use(plan: Path, facts: PlanFacts) -> None:
    """Note that a plan is used now and from what it was built; old ones make room for it.

    A cache of another user, or on a read-only image, stays as it is.
    """
    try:
        description = plan.with_suffix(".json")
        if not description.exists():
            description.write_text(facts.as_json())
        os.utime(plan)
    except OSError as error:
        _log.debug("cannot record that %s was used: %s", plan, error.strerror)
        return
    _drop_oldest(plan)


def _drop_oldest(used: Path) -> None:
    """Remove the plans used longest ago from the folder of `used`, beyond `SIZE_LIMIT` bytes."""
    plans = []
    for plan in used.parent.glob(f"*{SUFFIX}"):
        with suppress(OSError):  # another process may be removing it
            found = plan.stat()
            plans.append((found.st_mtime, found.st_size, plan))
    total = 0
    for _, size, plan in sorted(plans, reverse=True):
        total += size
        if total > SIZE_LIMIT and plan != used:
            with suppress(OSError):  # of another user
                remove(plan)
                plan.with_suffix(".json").unlink(missing_ok=True)


def select_rows(raw: npt.NDArray[np.floating], classes: int) -> Floats:
    """Return the rows (m, 6 + K * D) of the best columns, as a prepared graph selects them.

    Args:
        raw: (4 + classes + K * D, anchors), as `Layout.RAW` describes it, of an engine that was not
            built from a prepared graph.
        classes: how many classes there are.
    """
    scores = raw[4 : 4 + classes].max(axis=0)
    surplus = max(0, len(scores) - MAX_CANDIDATES)
    chosen = np.argpartition(scores, surplus - 1)[surplus:] if surplus else slice(None)
    best = raw[:, chosen].T.astype(np.float32)
    centre, half_size = best[:, :2], best[:, 2:4] / 2
    rows = np.empty((len(best), best.shape[1] + 2 - classes), np.float32)
    rows[:, BOX] = np.hstack((centre - half_size, centre + half_size))
    rows[:, SCORE] = scores[chosen]
    rows[:, CLASS] = best[:, 4 : 4 + classes].argmax(axis=1)
    rows[:, KEYPOINTS] = best[:, 4 + classes :]
    return rows
