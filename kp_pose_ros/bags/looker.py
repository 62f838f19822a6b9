# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images -> poses, in batches, while the caller reads and writes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.estimator import Pending, PoseEstimator
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
    """Keeps the engine at work: the next batch begins before the results of one are delivered.

    Attributes:
        waited: seconds for which there was nothing to do but wait for the engine.
    """

    def __init__(
        self, estimator: PoseEstimator, deliver: Callable[[BagImage, Poses], None]
    ) -> None:
        """Make a looker.

        Args:
            estimator: what finds the poses; its engine is closed by `close`.
            deliver: called for each image, in order, by `add` and `finish`.
        """
        self.waited = 0.0
        self._estimator = estimator
        self._deliver = deliver
        self._waiting: Batch = []
        self._under_way: deque[tuple[Batch, Pending[list[Poses]]]] = deque()

    def add(self, image: BagImage) -> None:
        """Take in one image; deliver what is ready as soon as a batch is full.

        Raises:
            EngineError: the engine failed.
        """
        self._waiting.append(image)
        engine = self._estimator.engine
        if len(self._waiting) == engine.max_batch:
            is_full = len(self._under_way) == (2 if engine.overlaps else 1)
            ended = self._end() if is_full else []
            self._begin()
            self._deliver_all(ended)

    def finish(self) -> None:
        """Deliver everything that is left; raises as `add` does."""
        while self._under_way:
            self._deliver_all(self._end())
        if self._waiting:
            self._begin()
            self._deliver_all(self._end())

    def close(self) -> None:
        """Close the engine."""
        self._estimator.engine.close()

    def _begin(self) -> None:
        batch, self._waiting = self._waiting, []
        frames = [image.frame for image in batch]
        self._under_way.append((batch, self._estimator.submit(frames)))

    def _end(self) -> list[tuple[BagImage, Poses]]:
        """Wait for the oldest batch."""
        batch, pending = self._under_way.popleft()
        start = perf_counter()
        results = pending.result()
        self.waited += perf_counter() - start
        return list(zip(batch, results, strict=True))

    def _deliver_all(self, found: list[tuple[BagImage, Poses]]) -> None:
        for image, poses in found:
            self._deliver(image, poses)
