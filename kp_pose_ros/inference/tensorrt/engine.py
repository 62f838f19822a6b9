# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT: the engine of the robot and of any machine with an NVIDIA GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.progress import QUIET, Progress
from kp_pose_ros.inference.tensorrt.bindings import NAME
from kp_pose_ros.inference.tensorrt.builder import BuildOptions
from kp_pose_ros.inference.tensorrt.gpu import Gpu, GpuFailureError, let_go
from kp_pose_ros.inference.tensorrt.plans import NetworkSource
from kp_pose_ros.inference.tensorrt.pipeline import Job, Pipeline
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.timing import StageTimes

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A batch that was submitted and not collected yet.

    Attributes:
        engine: to which.
        frames: the batch, kept so that it can be run again.
        job: what the GPU does with it.
        pipeline: which does it.
    """

    engine: TensorRTEngine
    frames: Sequence[Frame]
    job: Job
    pipeline: Pipeline

    def done(self) -> bool:
        return self.engine._is_done(self)

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        callback(self)  # a GPU tells nobody

    def result(self) -> list[Candidates]:
        return self.engine._collect(self)


class TensorRTEngine:
    """Runs a model on the GPU, one engine plan for each network size that the frames need.

    Plans come from the cache and are built when it has none, which takes seconds to many minutes.
    Any thread may call, but only one at a time. After a failure of the GPU everything on it is made
    anew, once for each call; if that fails too, the call raises.

    Attributes:
        name: TensorRT's version and the GPU.
        max_batch: how many frames a batch has at most.
        times: how long each stage took: copy, h2d, letterbox, infer and d2h, the last four as the
            GPU measured them.
    """

    overlaps = True

    def __init__(
        self,
        model: PoseModel,
        imgsz: Size | None = None,
        max_batch: int = 1,
        *,
        precision: str = "fp16",
        progress: Progress = QUIET,
    ) -> None:
        """Open the GPU, and the network if its size is known already.

        Args:
            model: what to run; an .engine file is used as it is, whatever `precision` says.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
            precision: fp32, fp16 or int8.
            progress: told how far the build of a plan is.

        Raises:
            EngineError: there is no GPU, no TensorRT or no pycuda, or they refuse to work.
            ModelError: the model cannot be prepared.
        """
        self.max_batch = max_batch
        self.times = StageTimes()
        self._model = model
        self._imgsz = imgsz
        self._options = BuildOptions(max_batch, precision)
        self._progress = progress
        self._pipeline: Pipeline | None = self._open()
        self.name = f"{NAME} on {self._pipeline.gpu.info}"
        if imgsz is not None or model.metadata.size_is_static:
            try:
                self.prepare(imgsz or model.metadata.imgsz)
            except BaseException as error:
                let_go(error)
                self.close()
                raise

    def prepare(self, frame: Size) -> Path:
        """Open the network for frames of (height, width); return its plan.

        Raises:
            EngineError: it cannot be built or loaded.
            ModelError: the model cannot be prepared for that size.
        """
        return self._running().prepare(self._network_size(frame))

    def infer(self, frames: Sequence[Frame]) -> list[Candidates]:
        """Return the candidates of each frame.

        Raises:
            EngineError: a network cannot be opened, or the GPU failed twice.
            ModelError: the model cannot be prepared for the size that a frame needs.
        """
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> _Ticket:
        """Put a batch on its way; its result is the candidates of each frame.

        One more batch may be submitted before the result is asked for: its upload then runs while
        this one is in the network. Both raise as `infer` does. The frames have to stay as they are,
        because after a failure of the GPU they are run again.
        """
        pipeline = self._running()
        try:
            return _Ticket(self, frames, pipeline.submit(frames), pipeline)
        except GpuFailureError as failure:
            return self._submit_anew(frames, failure)

    def _is_done(self, ticket: _Ticket) -> bool:
        """Return whether `_collect` need not wait for the GPU, also because the batch was lost."""
        if ticket.pipeline is not self._pipeline:
            return True
        try:
            return ticket.pipeline.done(ticket.job)
        except GpuFailureError:
            return True

    def _collect(self, ticket: _Ticket) -> list[Candidates]:
        try:
            if ticket.pipeline is self._pipeline:
                return ticket.pipeline.collect(ticket.job)
            pipeline = self._running()
            again = _Ticket(self, ticket.frames, pipeline.submit(ticket.frames), pipeline)
        except GpuFailureError as failure:
            again = self._submit_anew(ticket.frames, failure)
        return again.pipeline.collect(again.job)

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what enqueues the network alone on frames of one size: for benchmarks."""
        return self._running().network_call(frames)

    def close(self) -> None:
        """Free everything on the GPU."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            pipeline.close()

    def _network_size(self, frame: Size) -> Size:
        return self._model.network_size(frame, self._imgsz)

    def _running(self) -> Pipeline:
        if self._pipeline is None:
            self._pipeline = self._open()
        return self._pipeline

    def _open(self) -> Pipeline:
        gpu = Gpu()
        source = NetworkSource(self._model, self._options, gpu, self._progress)
        return Pipeline(gpu, source, self._network_size, self.times)

    def _submit_anew(self, frames: Sequence[Frame], failure: GpuFailureError) -> _Ticket:
        _log.warning("everything on the GPU is made anew: %s", failure)
        let_go(failure)
        with suppress(EngineError):
            self.close()
        pipeline = self._running()
        return _Ticket(self, frames, pipeline.submit(frames), pipeline)
