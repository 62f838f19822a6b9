# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes an engine plan of a prepared ONNX graph with TensorRT, from 8.5 to 11 and for RTX.

What a version lacks is found by asking for the name, never by comparing version numbers.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import IS_RTX, LOGGER, NAME, trt
from kp_pose_ros.inference.tensorrt.build_monitor import HAS_MONITOR, BuildWatch, attach
from kp_pose_ros.inference.tensorrt.quantize import quantized_graph
from kp_pose_ros.inference.tensorrt.tensors import sides_of
from kp_pose_ros.models.model import PoseModel, Size

_log = logging.getLogger(__name__)


# From 10.0 on every tensor can have the type that the graph gives it, from 11 on that is the only
# way. Ours keep the decoding of coordinates in single precision, which 8.x may not.
_IS_STRONGLY_TYPED = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
# Before, the graph is single precision and flags allow TensorRT to use less.
_FLAGS: dict[str, tuple[str, ...]] = {"fp32": (), "fp16": ("FP16",), "int8": ("FP16", "INT8")}
PRECISIONS = tuple(_FLAGS)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a plan depends on beside its graph.

    Attributes:
        max_batch: the plan takes 1 to this many pictures, unless the graph fixes their number.
        precision: fp32, fp16 or int8.
        workspace: bytes of GPU memory that TensorRT may use for intermediate results.

    Raises:
        SettingsError: the precision is unknown.
    """

    max_batch: int
    precision: str
    workspace: int = 1 << 30

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise SettingsError(
                f"precision '{self.precision}' is unknown: expected one of {', '.join(PRECISIONS)}"
            )


def graph_for(model: PoseModel, size: Size, precision: str) -> Path:
    """Return the ONNX file that `build_plan` takes for inputs of (height, width).

    Raises:
        EngineError: int8 was not calibrated yet.
        ModelError: the graph cannot be made.
    """
    if precision == "int8":
        return quantized_graph(model, size)
    if precision == "fp16" and _IS_STRONGLY_TYPED:
        return model.graph(size, precision="fp16")
    return model.graph(size)


def build_plan(
    graph: Path,
    options: BuildOptions,
    *,
    progress: Progress = QUIET,
    timing_cache: Path | None = None,
    for_this_gpu: bool = True,
) -> bytes:
    """Return the serialized engine of an ONNX file; takes seconds to many minutes.

    Args:
        graph: a prepared ONNX file of fixed height and width, from `graph_for`.
        options: what to build.
        progress: is told how far it is. What it raises ends the build.
        timing_cache: file that keeps measured layer times from one build to the next.
        for_this_gpu: False makes TensorRT for RTX build for every GPU that it knows, which needs
            no GPU.

    Raises:
        EngineError: TensorRT cannot read the graph or cannot build it.
    """
    LOGGER.take_errors()
    builder = trt.Builder(LOGGER)
    network = _parse(builder, graph)
    config = _config(builder, network, options)
    if IS_RTX and for_this_gpu:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    if timing_cache is not None:
        _load_timing_cache(config, timing_cache)
    watch = BuildWatch(progress)
    monitor = attach(config, watch) if HAS_MONITOR else None
    started = time.monotonic()
    progress.begin()
    try:
        plan: Any = builder.build_serialized_network(network, config)
    finally:
        progress.end()
    del monitor
    if watch.stopped_by is not None:
        raise watch.stopped_by
    if plan is None:
        raise EngineError(
            f"{NAME} cannot build {graph} as {options.precision} ({LOGGER.take_errors()}): try "
            "another precision, or a newer TensorRT"
        )
    if timing_cache is not None:
        _save_timing_cache(config, timing_cache)
    _log.info("built the engine in %.0f s: %.1f MB", time.monotonic() - started, plan.nbytes / 1e6)
    return bytes(plan)


def _parse(builder: trt.Builder, graph: Path) -> trt.INetworkDefinition:
    kinds = trt.NetworkDefinitionCreationFlag
    # 10.0 made the explicit batch dimension the only kind, 11 dropped its name.
    wanted = ("STRONGLY_TYPED",) if _IS_STRONGLY_TYPED else ("EXPLICIT_BATCH",)
    flags = sum(1 << int(getattr(kinds, name)) for name in wanted)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, LOGGER)
    if not parser.parse_from_file(str(graph)):
        reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise EngineError(
            f"{NAME} cannot read the graph {graph} ({reasons}): export the model again with "
            "another opset, or use a newer TensorRT"
        )
    return network


def _config(
    builder: trt.Builder, network: trt.INetworkDefinition, options: BuildOptions
) -> trt.IBuilderConfig:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if not _IS_STRONGLY_TYPED:
        for name in _FLAGS[options.precision]:
            config.set_flag(getattr(trt.BuilderFlag, name))
    pictures = network.get_input(0)
    batch, *picture = sides_of(pictures.shape)
    if batch == -1:
        profile = builder.create_optimization_profile()
        largest = trt.Dims4((options.max_batch, *picture))
        profile.set_shape(pictures.name, trt.Dims4((1, *picture)), largest, largest)
        config.add_optimization_profile(profile)
    return config


def _load_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    kept = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(kept) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, ignore_mismatch=False)


def _save_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.part")
    measured: Any = config.get_timing_cache().serialize()
    temporary.write_bytes(measured)
    temporary.replace(path)
