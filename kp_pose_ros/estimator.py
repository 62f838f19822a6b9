# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""PoseEstimator: frames -> engine -> decode -> Poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kp_pose_ros.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.frame import Frame
from kp_pose_ros.poses import Poses
from kp_pose_ros.timing import StageTimes


class Engine(Protocol):
    """Runs the network. Owned by one thread, from its first `infer` to `close`.

    Attributes:
        name: what runs it, for people, such as "ONNX Runtime 1.20 on the CPU".
        max_batch: how many frames `infer` takes at most.
        times: how long each stage of `infer` took.
    """

    name: str
    max_batch: int
    times: StageTimes

    def infer(self, frames: Sequence[Frame]) -> list[Candidates]:
        """Return the candidates of each frame; frames may have different sizes and encodings.

        Raises:
            EngineError: the engine failed; later calls may work.
        """

    def network_call(self, frames: Sequence[Frame]) -> Callable[[], object]:
        """Return what runs the network alone on frames that are on its input: for benchmarks."""

    def close(self) -> None:
        """Free what the engine holds. It cannot be used afterwards."""


class PoseEstimator:
    """Finds poses in frames with one engine.

    `settings` may be replaced at any time, from any thread; the next call uses the new ones.
    """

    def __init__(
        self, engine: Engine, kpt_shape: tuple[int, int], settings: DecodeSettings
    ) -> None:
        self.engine = engine
        self.settings = settings
        self._kpt_shape = kpt_shape

    def estimate(self, frames: Sequence[Frame]) -> list[Poses]:
        """Return the poses of each frame, in source pixels; at most `engine.max_batch` frames.

        Raises:
            EngineError: the engine failed.
        """
        candidates = self.engine.infer(frames)
        settings = self.settings
        with self.engine.times.measure("decode"):
            return [decode(each, self._kpt_shape, settings) for each in candidates]
