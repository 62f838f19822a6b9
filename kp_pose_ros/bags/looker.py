# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images -> poses, in batches, while the caller reads and writes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from kp_pose_ros.estimator import PoseEstimator
from kp_pose_ros.frame import Frame
from kp_pose_ros.poses import Poses


@dataclass(frozen=True, slots=True)
class BagImage:
    """One image of a bag.

    Attributes:
        topic: where it was published.
        stamp: when it was received, in nanoseconds.
        header: the message's own.
        frame: the picture.
    """

    topic: str
    stamp: int
    header: Any
    frame: Frame


Batch = list[BagImage]


class Looker:
    """Runs the estimator in a thread of its own, one batch ahead of the results' delivery."""

    def __init__(
        self, estimator: PoseEstimator, deliver: Callable[[BagImage, Poses], None]
    ) -> None:
        """Make a looker.

        Args:
            estimator: what finds the poses; its engine is closed by `close`.
            deliver: called for each image, in order, in the thread that calls `add` or `finish`.
        """
        self.busy = 0.0  # seconds that the estimator has worked
        self._estimator = estimator
        self._deliver = deliver
        self._thread = ThreadPoolExecutor(1, "engine")
        self._waiting: Batch = []
        self._running: tuple[Batch, Future[list[Poses]]] | None = None

    def add(self, image: BagImage) -> None:
        """Take in one image; deliver what is ready as soon as a batch is full.

        Raises:
            EngineError: the engine failed.
        """
        self._waiting.append(image)
        if len(self._waiting) == self._estimator.engine.max_batch:
            self._advance()

    def finish(self) -> None:
        """Deliver everything that is left."""
        self._advance()
        self._advance()

    def close(self) -> None:
        """End the thread and close the engine in it."""
        self._thread.submit(self._estimator.engine.close).result()
        self._thread.shutdown()

    def _advance(self) -> None:
        """Start on the images that wait, and deliver those that ran meanwhile."""
        ran = self._running
        results = ran[1].result() if ran else []
        self._running = None
        if self._waiting:
            self._running = self._waiting, self._thread.submit(self._look, self._waiting)
            self._waiting = []
        for image, poses in zip(ran[0] if ran else [], results, strict=True):
            self._deliver(image, poses)

    def _look(self, batch: Batch) -> list[Poses]:
        start = perf_counter()
        poses = self._estimator.estimate([image.frame for image in batch])
        self.busy += perf_counter() - start
        return poses
