# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part that engines on the host share: letterboxing, batches, and one network a frame size.

What runs a network (ONNX Runtime, OpenVINO) is a `Session`, which its own room opens.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from kp_pose_ros.image.frame import Frame, Pixels, Size
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats
from kp_pose_ros.timing import StageTimes

CORES = len(os.sched_getaffinity(0))

_KEPT_NETWORKS = 8  # a camera of a new shape costs two; a robot has few shapes at a time
_KEPT_CANVASES = 4  # shapes of frames that share a network
_TO_UNIT = np.float32(1 / 255)
_log = logging.getLogger(__name__)


class Session(Protocol):
    """One prepared graph, opened by an engine.

    Attributes:
        fixed_batch: the only number of pictures that it takes; None if it takes any.
    """

    fixed_batch: int | None

    def run(self, batch: Floats) -> Floats:
        """Return the rows, (B, N, 6 + K * D), of pictures (B, C, H, W) in [0, 1].

        Any thread may call it, also beside others.

        Raises:
            EngineError: it failed.
        """


# Opens a prepared graph for so many threads. It raises EngineError if it cannot.
OpenSession = Callable[[Path, int], Session]


class HostEngine:
    """Runs a model's prepared graph, one network for each size that the frames need.

    A batch alone has all cores, because that is the quickest. Cores wait for each other at every
    layer, though: two batches beside each other, with half of the cores each, go through 1.4 times
    as often as one after the other (yolo11n-pose on ONNX Runtime, two cores: 31 and 22 frames a
    second), and each takes 1.3 times as long.
    """

    def __init__(
        self,
        name: str,
        model: PoseModel,
        imgsz: Size | None,
        max_batch: int,
        open_session: OpenSession,
    ) -> None:
        """Open the engine; networks are opened when the first frame of a shape arrives.

        Args:
            name: what runs it, for people.
            model: what to run.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
            open_session: opens a graph.
        """
        self.name = name
        self.max_batch = max_batch
        self.overlaps = CORES > 1
        self.times = StageTimes()
        self._model = model
        self._imgsz = imgsz
        self._open_session = open_session
        self._networks: OrderedDict[tuple[Size, int], _Network] = OrderedDict()
        self._pool = ThreadPoolExecutor(2)
        self._under_way: list[Future[list[Candidates]]] = []

    def prepare(self, frame: Size) -> Path:
        """Open the network for frames of (height, width); return its graph. Raises as `infer`."""
        return self._network(self._model.network_size(frame, self._imgsz), CORES).graph

    def infer(self, frames: Sequence[Frame]) -> list[Candidates]:
        """Return the candidates of each frame.

        Raises:
            EngineError: the engine refused the graph or failed while it ran.
            ModelError: the model cannot be prepared for the size that a frame needs.
        """
        return self.submit(frames).result()

    def submit(self, frames: Sequence[Frame]) -> Future[list[Candidates]]:
        """Begin with a batch; see `infer`. The frames have to stay as they are until its end."""
        self._under_way = [each for each in self._under_way if not each.done()]
        cores = CORES // 2 if self._under_way and self.overlaps else CORES
        by_size: defaultdict[Size, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[self._model.network_size(frame.size, self._imgsz)].append(index)
        work = [(self._network(size, cores), indices) for size, indices in by_size.items()]
        self._under_way.append(self._pool.submit(self._run, work, frames))
        return self._under_way[-1]

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames of one size: for benchmarks."""
        size = self._model.network_size(frames[0].size, self._imgsz)
        return self._network(size, CORES).call(frames)

    def close(self) -> None:
        """Free the networks, after the end of what is under way."""
        self._pool.shutdown()
        self._networks.clear()

    def _run(
        self, work: list[tuple[_Network, list[int]]], frames: Sequence[Frame]
    ) -> list[Candidates]:
        """Return the candidates of each frame; `work` tells which network takes which of them."""
        found: dict[int, Candidates] = {}
        for network, indices in work:
            for start in range(0, len(indices), network.batch):
                chunk = indices[start : start + network.batch]
                candidates = network.run([frames[index] for index in chunk], self.times)
                found.update(zip(chunk, candidates, strict=True))
        return [found[index] for index in range(len(frames))]

    def _network(self, size: Size, cores: int) -> _Network:
        key = size, cores
        if key not in self._networks:
            if len(self._networks) == _KEPT_NETWORKS:
                self._networks.popitem(last=False)
            if cores == CORES:
                _log.info("preparing the network for %d x %d (height x width)", *size)
            graph = self._model.graph(size)
            session = self._open_session(graph, cores)
            shape = (self._model.metadata.channels, *size)
            self._networks[key] = _Network(graph, session, shape, self.max_batch)
        self._networks.move_to_end(key)
        return self._networks[key]


class _Network:
    """A session for one size, and the memory of its inputs.

    Attributes:
        graph: its file.
        batch: how many frames it takes at once.
    """

    def __init__(
        self, graph: Path, session: Session, shape: tuple[int, int, int], max_batch: int
    ) -> None:
        self.graph = graph
        self.batch = session.fixed_batch or max_batch
        self._session = session
        self._shape = shape
        self._free: deque[_Input] = deque()

    def run(self, frames: Sequence[Frame], times: StageTimes) -> list[Candidates]:
        """Return the candidates of at most `batch` frames."""
        try:
            taken = self._free.pop()
        except IndexError:  # every other is in use
            taken = _Input(self.batch, self._shape)
        try:
            letterboxes = [taken.fill(slot, frame, times) for slot, frame in enumerate(frames)]
            with times.measure("infer"):
                rows = self._infer(taken, len(frames))
        finally:
            self._free.append(taken)
        return [Candidates(*pair) for pair in zip(rows, letterboxes, strict=False)]

    def call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames that are on its input."""
        filled = _Input(self.batch, self._shape)
        for slot, frame in enumerate(frames):
            filled.fill(slot, frame, StageTimes())
        return partial(self._infer, filled, len(frames))

    def _infer(self, filled: _Input, count: int) -> Floats:
        """Run the network on the first `count` slots, or on all if it takes no other number."""
        return self._session.run(filled.batch[: self._session.fixed_batch or count])


class _Input:
    """The memory of one batch."""

    def __init__(self, batch: int, shape: tuple[int, int, int]) -> None:
        self.batch = np.zeros((batch, *shape), np.float32)
        self._is_gray = shape[0] == 1
        self._size = shape[1:]
        self._planes: Pixels = np.empty(shape, np.uint8)
        self._canvases: OrderedDict[Size, tuple[Letterbox, Pixels]] = OrderedDict()

    def fill(self, slot: int, frame: Frame, times: StageTimes) -> Letterbox:
        """Write one frame into its place in the batch: RGB planes, or a grey one, in [0, 1]."""
        with times.measure("convert"):
            picture = frame.to_gray() if self._is_gray else frame.to_bgr()
        with times.measure("letterbox"):
            letterbox, canvas = self._canvas(frame.size)
            letterbox.apply(picture, canvas)
            if self._is_gray:
                np.multiply(canvas, _TO_UNIT, out=self.batch[slot, 0])
                return letterbox
            # A split and one multiplication: an eighth of the time of cv2.dnn.blobFromImage.
            red, green, blue = self._planes
            cv2.split(canvas, [blue, green, red])
            np.multiply(self._planes, _TO_UNIT, out=self.batch[slot])
        return letterbox

    def _canvas(self, source: Size) -> tuple[Letterbox, Pixels]:
        """Return the geometry for a camera's frames and a canvas whose padding is in place."""
        if source not in self._canvases:
            if len(self._canvases) == _KEPT_CANVASES:
                self._canvases.popitem(last=False)
            letterbox = Letterbox.fit(source, self._size)
            canvas = letterbox.canvas()
            if self._is_gray:
                canvas = np.ascontiguousarray(canvas[..., 0])
            self._canvases[source] = letterbox, canvas
        self._canvases.move_to_end(source)
        return self._canvases[source]
