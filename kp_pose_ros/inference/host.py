# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared by the engines that run on the host: letterboxing, batches, a network for each frame size.

A `Session` runs one network with ONNX Runtime or OpenVINO.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame, Pixels, Size
from kp_pose_ros.inference.cores import CoreWatch, Threads
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Floats
from kp_pose_ros.timing import StageTimes

_KEPT_NETWORKS = 8  # a robot has few shapes of cameras at a time
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

        Any thread may call it, one at a time.

        Raises:
            EngineError: it failed.
        """


# Opens a prepared graph with these threads; raises EngineError.
OpenSession = Callable[[Path, Threads], Session]


class HostEngine:
    """Runs a model's prepared graph, one network for each size that the frames need.

    Batches take turns, each with all threads: two beside each other, with half of the threads each,
    go through no faster, and each takes twice as long (yolo11n-pose on ONNX Runtime, two idle
    cores: 24.5 frames a second in 39 ms each, against 23.7 in 86 ms).
    """

    overlaps = False

    def __init__(
        self,
        name: str,
        model: PoseModel,
        imgsz: Size | None,
        max_batch: int,
        *,
        open_session: OpenSession,
        watch: CoreWatch,
    ) -> None:
        """Open the engine; networks are opened when the first frame of a shape arrives.

        Args:
            name: the engine's, for people.
            model: what to run.
            imgsz: (height, width) of the network's input, or None to follow each camera's shape.
            max_batch: how many frames a batch has at most.
            open_session: opens a graph.
            watch: says how many threads a network has.
        """
        self.name = name
        self.max_batch = max_batch
        self.times = StageTimes()
        self._model = model
        self._imgsz = imgsz
        self._open_session = open_session
        self._watch = watch
        self._spare = watch.spare
        self._networks: OrderedDict[Size, _Network] = OrderedDict()
        self._pool = ThreadPoolExecutor(1)
        self._opener = ThreadPoolExecutor(1)

    def prepare(self, frame: Size) -> Path:
        """See `Engine`; the file is the prepared graph."""
        return self._network(self._model.network_size(frame, self._imgsz)).graph

    def submit(self, frames: Sequence[Frame]) -> Future[list[Candidates]]:
        """See `Engine`."""
        by_size: defaultdict[Size, list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[self._model.network_size(frame.size, self._imgsz)].append(index)
        work = [(self._network(size), indices) for size, indices in by_size.items()]
        threads = self._watch.threads()
        for network, _ in work:
            network.follow(threads, self._spare or threads, self._opener)
        return self._pool.submit(self._run, work, frames)

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """See `Engine`; the frames have one size."""
        return self._network(self._model.network_size(frames[0].size, self._imgsz)).call(frames)

    def close(self) -> None:
        """Free the networks after the batches under way have ended."""
        self._pool.shutdown()
        self._opener.shutdown(cancel_futures=True)
        self._networks.clear()

    def _run(
        self, work: list[tuple[_Network, list[int]]], frames: Sequence[Frame]
    ) -> list[Candidates]:
        """Return the candidates of each frame; `work` has the indices of those for each network."""
        found: dict[int, Candidates] = {}
        for network, indices in work:
            for start in range(0, len(indices), network.batch):
                chunk = indices[start : start + network.batch]
                candidates = network.run([frames[index] for index in chunk], self.times)
                found.update(zip(chunk, candidates, strict=True))
        return [found[index] for index in range(len(frames))]

    def _network(self, size: Size) -> _Network:
        if size not in self._networks:
            if len(self._networks) == _KEPT_NETWORKS:
                self._networks.popitem(last=False)
            _log.info("preparing the network for %d x %d (height x width)", *size)
            graph, threads = self._model.graph(size), self._watch.threads()
            shape = (self._model.metadata.channels, *size)
            self._networks[size] = _Network(
                graph, self._open_session, threads, shape=shape, max_batch=self.max_batch
            )
        self._networks.move_to_end(size)
        return self._networks[size]


class _Network:
    """The session for one size, and the memory of its input.

    Attributes:
        graph: its file.
        batch: how many frames it takes at once.
    """

    def __init__(
        self,
        graph: Path,
        open_session: OpenSession,
        threads: Threads,
        *,
        shape: tuple[int, int, int],
        max_batch: int,
    ) -> None:
        self.graph = graph
        self._open_session = open_session
        self._session, self._threads = open_session(graph, threads), threads
        # Those open or being opened; None: could not be opened.
        self._sessions: dict[Threads, Future[Session | None]] = {threads: Future()}
        self._sessions[threads].set_result(self._session)
        self.batch = self._session.fixed_batch or max_batch
        self._shape = shape
        self._input = NetworkInput(self.batch, shape)

    def follow(self, threads: Threads, spare: Threads, opener: ThreadPoolExecutor) -> None:
        """Change the number of threads as soon as a session with it is open.

        Args:
            threads: those to use from now on.
            spare: those to keep a session for, and to use meanwhile if there must be fewer: on an
                overloaded machine it takes seconds to open a session.
            opener: opens sessions in the background.
        """
        for each in {threads, spare} - self._sessions.keys():
            self._sessions[each] = opener.submit(self._open_another, each)
        is_fewer = threads.count < self._threads.count
        for each in (threads, spare) if is_fewer else (threads,):
            opened = self._sessions[each]
            session = opened.result() if opened.done() else None
            if session is not None:
                self._session, self._threads = session, each
                break
        kept = (threads, spare, self._threads)
        self._sessions = {each: self._sessions[each] for each in kept}

    def _open_another(self, threads: Threads) -> Session | None:
        try:
            session = self._open_session(self.graph, threads)
        except EngineError as error:
            _log.warning("the network is not changed, because with %s %s", threads, error)
            return None
        _log.debug("the network runs with %s", threads)
        return session

    def run(self, frames: Sequence[Frame], times: StageTimes) -> list[Candidates]:
        """Return the candidates of at most `batch` frames."""
        letterboxes = [self._input.fill(slot, frame, times) for slot, frame in enumerate(frames)]
        with times.measure("infer"):
            rows = self._infer(self._input, len(frames))
        return [Candidates(*pair) for pair in zip(rows, letterboxes, strict=False)]

    def call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return a function that runs only the network, on frames already in its input."""
        filled = NetworkInput(self.batch, self._shape)
        for slot, frame in enumerate(frames):
            filled.fill(slot, frame, StageTimes())
        return partial(self._infer, filled, len(frames))

    def _infer(self, filled: NetworkInput, count: int) -> Floats:
        """Run the network on the first `count` slots, or on all if it takes no other number."""
        return self._session.run(filled.batch[: self._session.fixed_batch or count])


class NetworkInput:
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
