# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds an engine plan from a prepared ONNX graph, with TensorRT 10.3 to 11 or TensorRT for RTX.

Networks are strongly typed: every tensor has the type that the graph gives it, so a precision is a
graph of its own.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsInt

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import (
    IS_RTX,
    LOGGER,
    NAME,
    is_out_of_memory,
    new,
    trt,
)
from kp_pose_ros.inference.tensorrt.gpu import SAVE_MEMORY
from kp_pose_ros.inference.tensorrt.quantize import quantized_graph
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.resources import replace_file

PRECISIONS = ("fp32", "fp16", "int8")
# TensorRT for RTX builds for the GPU of this machine only, as TensorRT always does. Its default, a
# larger plan for all GPUs that it supports, needs no GPU: tests build with that.
ONLY_THIS_GPU = IS_RTX
WORKSPACE = 1 << 30  # bytes of GPU memory that TensorRT may use for intermediate results
_log = logging.getLogger(__name__)


class BuildError(EngineError):
    """A graph cannot be built into an engine that runs here; trying again takes as long."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a plan depends on beside its graph.

    Raises:
        SettingsError: the precision is unknown.
    """

    max_batch: int  # the plan takes 1 to this many pictures, unless the graph fixes their number
    precision: str  # fp32, fp16 or int8

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
    return model.graph(size, precision="fp16" if precision == "fp16" else "fp32")


def build_plan(
    graph: Path,
    options: BuildOptions,
    *,
    progress: Progress = QUIET,
    timing_cache: Path | None = None,
) -> bytes:
    """Return the serialized engine of an ONNX file; takes seconds to many minutes.

    Args:
        graph: a prepared ONNX file of fixed height and width, from `graph_for`.
        options: the batch and precision.
        progress: receives TensorRT's reports. An exception that it raises ends the build.
        timing_cache: file that keeps measured layer times from one build to the next.

    Raises:
        EngineError: TensorRT does not start.
        BuildError: it cannot read or build the graph.
    """
    LOGGER.take_reasons()
    started = time.monotonic()
    monitor = _Monitor(progress)
    progress.begin()
    try:
        with monitor.interrupts():
            # TensorRT's objects end with the call: no traceback of ours may keep them.
            plan = _build(graph, options, monitor, timing_cache)
    finally:
        progress.end()
    if monitor.stopped_by is not None:
        raise monitor.stopped_by
    if isinstance(plan, BuildError):
        raise plan
    _log.info("built the engine in %.0f s: %.1f MB", time.monotonic() - started, len(plan) / 1e6)
    return plan


def _build(
    graph: Path, options: BuildOptions, monitor: _Monitor, timing_cache: Path | None
) -> bytes | BuildError:
    """Return the plan, or what to raise."""
    builder = new(trt.Builder)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, LOGGER)
    if not parser.parse_from_file(str(graph)):
        reasons = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        return BuildError(
            f"{NAME} cannot read the graph {graph} ({reasons}): export the model again with "
            "another opset, or use a newer TensorRT"
        )
    config = _config(builder, network, options)
    if ONLY_THIS_GPU:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    if timing_cache is not None:
        _load_timing_cache(config, timing_cache)
    config.progress_monitor = monitor
    plan: Any = builder.build_serialized_network(network, config)
    if plan is None:
        reasons = LOGGER.take_reasons()
        lacks_memory = is_out_of_memory(reasons)
        return BuildError(
            f"{NAME} cannot build {graph} as {options.precision} ({reasons}): "
            f"{SAVE_MEMORY if lacks_memory else 'try another precision, or a newer TensorRT'}"
        )
    if timing_cache is not None:
        _save_timing_cache(config, timing_cache)
    return bytes(plan)


def _config(
    builder: trt.Builder, network: trt.INetworkDefinition, options: BuildOptions
) -> trt.IBuilderConfig:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    pictures = network.get_input(0)
    shape: Any = pictures.shape
    batch, *picture = shape
    if batch != -1:
        return config
    if options.max_batch == 1:
        pictures.shape = trt.Dims4((1, *picture))  # TensorRT optimizes fixed shapes further
        return config
    profile = builder.create_optimization_profile()
    largest = trt.Dims4((options.max_batch, *picture))
    profile.set_shape(pictures.name, trt.Dims4((1, *picture)), largest, largest)
    config.add_optimization_profile(profile)
    return config


def _load_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Start from an earlier build's layer times, or else from an empty cache."""
    try:
        kept = path.read_bytes()
    except OSError:
        kept = b""
    for content in (kept, b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return
    _log.info("%s rejects the timing cache: layer times are measured again", NAME)


def _save_timing_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Keep the layer times, if there are any and the folder can be written."""
    cache = config.get_timing_cache()
    if cache is None:
        return
    measured: Any = cache.serialize()
    try:
        with replace_file(path) as stream:
            stream.write(measured)
    except OSError as error:
        _log.info(
            "layer times are not cached, since %s cannot be written: %s", path, error.strerror
        )


class _Monitor(trt.IProgressMonitor):
    """Passes TensorRT's reports on to a `Progress`, and ends the build when that raises.

    An exception cannot pass through TensorRT, whose bindings drop those of every callback
    (pyCore.cpp, PyLogger and PyProgressMonitor), so it is kept and the build is cancelled.

    Attributes:
        stopped_by: what `progress` raised, or the KeyboardInterrupt of a signal.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.stopped_by: BaseException | None = None
        self._progress = progress
        self._totals: dict[str, int] = {}

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Let Ctrl-C cancel the build: Python would raise its exception in any of the callbacks."""
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
            before = {each: handler for each, handler in handlers.items() if callable(handler)}

        def stop(number: int, frame: object) -> None:
            self.stopped_by = KeyboardInterrupt()
            with suppress(BaseException):
                before[number](number, frame)

        for each in before:
            signal.signal(each, stop)
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: SupportsInt) -> None:
        """Take the start of a phase; called by TensorRT, from any of its threads."""
        self._totals[phase_name] = int(num_steps)
        self._report(phase_name, 0)

    def step_complete(self, phase_name: str, step: SupportsInt) -> bool:
        """Take the end of a step; return whether to go on."""
        self._report(phase_name, int(step) + 1)
        return self.stopped_by is None

    def phase_finish(self, phase_name: str) -> None:
        """Take the end of a phase, which the last step has reported."""

    def _report(self, phase: str, done: int) -> None:
        if self.stopped_by is None:
            try:
                self._progress(phase, done, self._totals.get(phase, done))
            except BaseException as error:
                self.stopped_by = error.with_traceback(None)  # it would keep TensorRT's objects
