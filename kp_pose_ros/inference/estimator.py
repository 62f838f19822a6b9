# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PoseEstimator: frames -> engine -> decode -> Poses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kp_pose_ros.errors import EngineError, FrameError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.checks import OutputCheck
from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Poses
from kp_pose_ros.timing import StageTimes

B = TypeVar("B")


class Pending(Protocol):
    """A batch that has begun; concurrent.futures.Future is one."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call `callback`, in any thread, when the batch has ended.

        An engine that is not notified of the end, such as a GPU's, calls it at once, so that the
        caller waits for the result and not for more images.
        """

    def result(self) -> list[Candidates]:
        """Wait for the end of the batch; return the candidates of each frame. Call it once.

        Raises:
            EngineError: the engine failed.
        """


class Engine(Protocol):
    """Runs the network. Owned by one thread, from its first call to `close`.

    Attributes:
        name: for people, such as "ONNX Runtime 1.20 on the CPU".
        max_batch: how many frames `submit` takes at most.
        overlaps: whether a batch submitted before the previous one has ended runs concurrently with
            it. If not, it only waits, and a newer image would have been better.
        times: how long each stage took.
    """

    name: str
    max_batch: int
    overlaps: bool
    times: StageTimes

    def prepare(self, frame: tuple[int, int]) -> Path:
        """Open the network for frames of (height, width); return the file that it runs.

        It first builds what the cache lacks, which may take many minutes.

        Raises:
            EngineError: the network cannot be opened.
            ModelError: the model cannot be prepared for that size.
        """

    def submit(self, frames: Sequence[Frame]) -> Pending:
        """Start a batch; its result is the candidates of each frame.

        Another batch may start before this one has ended; collect the results in the same order.
        Frames may have different sizes and encodings, and must not change until the batch has
        ended.

        Raises:
            EngineError: a network cannot be opened, or the engine failed; later calls may work.
            ModelError: the model cannot be prepared for the size that a frame needs.
            FrameError: a frame cannot be converted.
            GpuLostError: the GPU failed, now or before; so does the result.
        """

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return a function that runs only the network, on frames already in its input."""

    def close(self) -> None:
        """Free all resources; the engine cannot be used afterwards."""


class PoseEstimator:
    """Finds poses in frames with one engine.

    Attributes:
        engine: runs the network.
        settings: thresholds and limits. They may be replaced at any time, from any thread; the next
            call uses the new ones.
        faults: numbers of frames by fault in the network's output.
    """

    def __init__(self, engine: Engine, model: PoseModel, settings: DecodeSettings) -> None:
        """Make an estimator from the engine of a model."""
        self.engine = engine
        self.settings = settings
        self._check = OutputCheck(model)
        self.faults: Mapping[str, int] = self._check.counts
        self._metadata = model.metadata

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return the poses of each frame, at most `engine.max_batch` of them.

        They are in pixels of the camera's pictures, even if a frame was reduced.

        Raises:
            EngineError: the engine failed.
            ModelError: the network's output is not that of the model's layout.
        """
        return self.decode(frames, self.engine.submit(frames).result())

    def stream(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Poses]]:
        """Yield each frame with its poses, in order, while the engine works on the next one.

        If `frames` breaks off with a FrameError, what came before it is yielded first. Raises as
        `estimate` does.
        """
        broken = None
        uncollected: deque[Pending] = deque()

        def begun() -> Iterator[Frame]:
            nonlocal broken
            try:
                for frame in frames:
                    uncollected.append(self.engine.submit([frame]))
                    yield frame
            except FrameError as error:
                broken = error

        try:
            for frame in overlapping(begun()):
                yield frame, self.decode([frame], uncollected.popleft().result())[0]
        finally:
            for each in uncollected:  # the caller takes no more, but the engine is used again
                with suppress(EngineError):
                    each.result()
        if broken is not None:
            raise broken

    def decode(self, frames: Sequence[Frame], candidates: Sequence[Candidates]) -> list[Poses]:
        """Return the poses of each frame among the candidates that the engine gave for it."""
        settings, kpt_shape = self.settings, self._metadata.kpt_shape
        suppress = self._metadata.layout.needs_suppression
        checked = [
            replace(each, rows=self._check(each.rows, settings.score_threshold))
            for each in candidates
        ]
        with self.engine.times.measure("decode"):
            return [
                decode(each, kpt_shape, settings, suppress=suppress).scaled(frame.reduction)
                for each, frame in zip(checked, frames, strict=True)
            ]


def overlapping(begun: Iterable[B]) -> Iterator[B]:
    """Yield each batch once the next one has begun, so that the engine is always busy.

    `begun` begins a batch each time that one is taken from it.
    """
    under_way: list[B] = []
    for batch in begun:
        yield from under_way
        under_way = [batch]
    yield from under_way
