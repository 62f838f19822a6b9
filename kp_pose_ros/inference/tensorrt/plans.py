# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a model file to a loaded network: the user's own engine, the cache's, or a new one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import NAME
from kp_pose_ros.inference.tensorrt.builder import BuildOptions, build_plan, graph_for
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.inference.tensorrt.network import Network, PlanRefusedError
from kp_pose_ros.inference.tensorrt.plan_cache import (
    PlanFacts,
    cached_plan,
    discard,
    timing_cache_path,
)
from kp_pose_ros.inference.tensorrt.raw_rows import select_rows
from kp_pose_ros.models.cache import content_hash
from kp_pose_ros.models.engine_file import read_engine_header
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.poses import Floats

_log = logging.getLogger(__name__)


def is_engine(model: PoseModel) -> bool:
    """Return whether the model file is an engine already."""
    return model.path.suffix.lower() == ".engine"


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """Opens the networks of one model on one GPU.

    Attributes:
        model: the model; an .engine file is used as it is.
        options: how to build the engines of other files.
        gpu: what they run on; its context must be current in every method.
        progress: told how far a build is.
    """

    model: PoseModel
    options: BuildOptions
    gpu: Gpu
    progress: Progress = QUIET

    def open(self, size: Size) -> Network:
        """Return the network for inputs of (height, width).

        Raises:
            EngineError: TensorRT cannot build or load it.
            ModelError: the model cannot be prepared for that size.
        """
        if is_engine(self.model):
            return self._open_users_own(size)
        plan = self.path(size)
        try:
            return self._load(plan.read_bytes(), size)
        except PlanRefusedError as refusal:
            _log.warning("the engine %s is built anew: %s", plan.name, refusal)
            discard(plan)
        try:
            return self._load(self.path(size).read_bytes(), size)
        except PlanRefusedError as refusal:
            raise EngineError(
                f"the engine that was just built of {self.model.path} cannot be loaded: {refusal}; "
                "check that the driver is one that this TensorRT supports"
            ) from refusal

    def path(self, size: Size) -> Path:
        """Return the plan for inputs of (height, width); it is built if the cache has none."""
        if is_engine(self.model):
            return self.model.path
        options, gpu = self.options, self.gpu.info
        graph = graph_for(self.model, size, options.precision)
        facts = PlanFacts(
            graph=graph.name,
            graph_sha256=content_hash(graph),
            gpu=gpu.name,
            compute_capability=gpu.compute_capability,
            tensorrt=NAME,
            precision=options.precision,
            max_batch=options.max_batch,
            workspace=options.workspace,
        )

        def make() -> bytes:
            _log.info("building the engine of %s with %s on %s", graph.name, NAME, gpu)
            return build_plan(
                graph, options, progress=self.progress, timing_cache=timing_cache_path(facts)
            )

        return cached_plan(facts, make)

    def to_rows(self, output: npt.NDArray[np.floating]) -> Floats:
        """Return the candidate rows of one picture's output, in memory of their own."""
        metadata = self.model.metadata
        if is_engine(self.model) and metadata.layout is Layout.RAW:
            return select_rows(output, len(metadata.class_names))
        return output.astype(np.float32)

    def _open_users_own(self, size: Size) -> Network:
        path = self.model.path
        _, start = read_engine_header(path)
        try:
            return self._load(path.read_bytes()[start:], size)
        except PlanRefusedError as refusal:
            raise EngineError(
                f"{path} does not run here, because {refusal}; an engine runs only with the "
                "TensorRT version and on the GPU model that it was built with: give the .pt or "
                ".onnx file that it was made from"
            ) from refusal

    def _load(self, plan: bytes, size: Size) -> Network:
        return Network(plan, self.gpu, size, self.options.max_batch)
