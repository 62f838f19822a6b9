# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The memory and the events of one batch on its way through the GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.inference.tensorrt.kernel import LAYOUTS, Layout
from kp_pose_ros.inference.tensorrt.memory import SharedMemory
from kp_pose_ros.timing import StageTimes


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame's bytes in a slot's memory.

    Attributes:
        memory: where they are.
        size: how many there are.
        layout: how the kernel reads them.
        row_step: bytes from one row to the next.
    """

    memory: SharedMemory
    size: int
    layout: Layout
    row_step: int


class Slot:
    """What one batch needs from its upload to its collection; reused for every second batch.

    Attributes:
        outputs: what the networks return.
    """

    def __init__(self, gpu: Gpu, max_batch: int) -> None:
        """Make a slot under `gpu`'s current context, as every method wants it."""
        self.outputs = SharedMemory(gpu)
        self._gpu = gpu
        self._memories = [SharedMemory(gpu) for _ in range(max_batch)]
        self._events: list[Any] = []
        self._spans: list[tuple[str, Any, Any]] = []

    def stage(self, frames: Sequence[Frame], times: StageTimes) -> list[Picture]:
        """Copy frames to where the GPU can fetch them; those it cannot read are converted."""
        self._spans.clear()
        return [
            _stage(memory, frame, times)
            for memory, frame in zip(self._memories[: len(frames)], frames, strict=True)
        ]

    @contextmanager
    def span(self, stage: str, stream: Any) -> Iterator[Any]:
        """Time what the body puts on `stream`; give the event at its end."""
        start, end = self._pair()
        self._spans.append((stage, start, end))
        start.record(stream)
        yield end
        end.record(stream)

    def done(self) -> bool:
        """Return whether the GPU has done everything."""
        _, _, last = self._spans[-1]
        return bool(last.query())

    def finish(self, times: StageTimes) -> None:
        """Wait until the GPU has done everything, and record how long each stage took."""
        _, _, last = self._spans[-1]
        last.synchronize()
        for stage, start, end in self._spans:
            times.add(stage, end.time_since(start) / 1000)
        self._spans.clear()

    def close(self) -> None:
        """Free memory and events; the GPU must be done with them."""
        for memory in (*self._memories, self.outputs):
            memory.free()
        self._spans.clear()
        self._events.clear()

    def _pair(self) -> tuple[Any, Any]:
        """Return two unused events; they are made once and kept."""
        first = 2 * len(self._spans)
        while len(self._events) < first + 2:
            # Whoever waits for it sleeps, where CUDA's default would keep a core busy.
            flags = self._gpu.driver.event_flags.BLOCKING_SYNC
            self._events.append(self._gpu.driver.Event(flags))
        return self._events[first], self._events[first + 1]


def _stage(memory: SharedMemory, frame: Frame, times: StageTimes) -> Picture:
    pixels: npt.NDArray[np.generic] = frame.pixels
    layout = LAYOUTS.get(frame.encoding)
    if layout is None:
        with times.measure("convert"):
            pixels, layout = frame.to_bgr(), LAYOUTS["bgr8"]
    with times.measure("copy"):
        memory.reserve(pixels.nbytes)
        np.copyto(memory.host[: pixels.nbytes].reshape(pixels.shape), pixels)
    return Picture(memory, pixels.nbytes, layout, pixels.nbytes // len(pixels))
