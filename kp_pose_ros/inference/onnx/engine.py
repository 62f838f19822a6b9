# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU: the engine of the demo, the tests and the laptop."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import onnxruntime as ort

from kp_pose_ros.image.frame import Frame, Size
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.onnx.network import OnnxNetwork
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.timing import StageTimes

_log = logging.getLogger(__name__)
_KEPT_NETWORKS = 8  # a camera of a new shape costs two; a robot has few shapes at a time
_CORES = len(os.sched_getaffinity(0))


class OnnxEngine:
    """Runs a model's prepared graph, one network for each size that the frames need.

    A batch alone has all cores, because that is the quickest. Cores wait for each other at every
    layer, though: two batches beside each other, with half of the cores each, go through 1.4 times
    as often as one after the other (yolo11n-pose, two cores: 31 and 22 frames a second), and each
    takes 1.3 times as long.
    """

    name = f"ONNX Runtime {ort.__version__} on the CPU"
    overlaps = _CORES > 1

    def __init__(self, model: PoseModel, imgsz: Size | None = None, max_batch: int = 1) -> None:
        """Open the engine; networks are opened when the first frame of a shape arrives.

        Args:
            model: what to run.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
        """
        self.max_batch = max_batch
        self.times = StageTimes()
        self._model = model
        self._imgsz = imgsz
        self._networks: OrderedDict[tuple[Size, int], OnnxNetwork] = OrderedDict()
        self._pool = ThreadPoolExecutor(2)
        self._under_way: list[Future[list[Candidates]]] = []

    def prepare(self, frame: Size) -> Path:
        """Open the network for frames of (height, width); return its graph. Raises as `infer`."""
        return self._network(self._model.network_size(frame, self._imgsz), _CORES).graph

    def infer(self, frames: Sequence[Frame]) -> list[Candidates]:
        """Return the candidates of each frame.

        Raises:
            EngineError: ONNX Runtime refused the graph or failed while it ran.
            ModelError: the model cannot be prepared for the size that a frame needs.
        """
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Candidates]]:
        """Begin with a batch; see `infer`. The frames have to stay as they are until its end."""
        self._under_way = [each for each in self._under_way if not each.done()]
        cores = _CORES // 2 if self._under_way and self.overlaps else _CORES
        by_size: defaultdict[Size, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[self._model.network_size(frame.size, self._imgsz)].append(index)
        work = [(self._network(size, cores), indices) for size, indices in by_size.items()]
        self._under_way.append(self._pool.submit(self._run, work, frames))
        return self._under_way[-1]

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames of one size: for benchmarks."""
        size = self._model.network_size(frames[0].size, self._imgsz)
        return self._network(size, _CORES).call(frames)

    def close(self) -> None:
        """Free the networks, after the end of what is under way."""
        self._pool.shutdown()
        self._networks.clear()

    def _run(
        self, work: list[tuple[OnnxNetwork, list[int]]], frames: Sequence[Frame]
    ) -> list[Candidates]:
        """Return the candidates of each frame; `work` tells which network takes which of them."""
        found: dict[int, Candidates] = {}
        for network, indices in work:
            for start in range(0, len(indices), network.batch):
                chunk = indices[start : start + network.batch]
                candidates = network.run([frames[index] for index in chunk], self.times)
                found.update(zip(chunk, candidates, strict=True))
        return [found[index] for index in range(len(frames))]

    def _network(self, size: Size, cores: int) -> OnnxNetwork:
        key = size, cores
        if key not in self._networks:
            if len(self._networks) == _KEPT_NETWORKS:
                self._networks.popitem(last=False)
            if cores == _CORES:
                _log.info("preparing the network for %d x %d (height x width)", *size)
            self._networks[key] = OnnxNetwork(self._model, size, self.max_batch, cores)
        self._networks.move_to_end(key)
        return self._networks[key]
