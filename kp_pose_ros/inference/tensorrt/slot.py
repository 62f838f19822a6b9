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

from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.inference.tensorrt.kernel import LAYOUTS, PixelLayout
from kp_pose_ros.timing import StageTimes

SLOTS = 2  # one uploads while the other is in the network
# Whether a GPU that shares the host's memory reads frames in place. Page-locked memory is uncached
# for an integrated GPU (CUDA for Tegra, "Memory Management"), and the letterbox kernel reads most
# bytes several times: a copy to memory that is cached should cost less. tools/prove_gpu measures
# both.
MAPPED_FRAMES = False


class HostDeviceBuffer:
    """Bytes with an address on the host and one on the GPU, allocated once and grown only.

    Mapped memory is the same bytes for both, and nothing is copied. Otherwise `upload` and
    `download` copy between page-locked host memory and the GPU's own, on a stream.

    Attributes:
        host: the bytes on the host.
        device: the address on the GPU.
    """

    def __init__(self, gpu: Gpu, *, mapped: bool) -> None:
        """Allocate nothing yet; `gpu`'s context must be current here and in every method.

        `mapped` is whether to map the host's memory, where the GPU can.
        """
        self._gpu = gpu
        self._is_mapped = mapped and gpu.info.shares_memory
        self._pages: Any = None  # owns the host's bytes
        self._allocation: Any = None  # owns the GPU's, if not mapped
        self._size = 0
        self.host: Pixels = np.empty(0, np.uint8)
        self.device = 0

    def reserve(self, size: int) -> None:
        """Make room for `size` bytes; growing loses the content.

        Raises:
            EngineError: there is not enough memory.
        """
        if size <= self._size:
            return
        self.free()
        driver = self._gpu.driver
        flags = driver.host_alloc_flags.DEVICEMAP if self._is_mapped else 0
        with self._gpu.errors(f"allocating {size} bytes"):
            self.host = driver.pagelocked_empty(size, np.uint8, mem_flags=flags)
            self._pages = self.host.base
            if self._is_mapped:
                self.device = int(self._pages.get_device_pointer())
            else:
                self._allocation = driver.mem_alloc(size)
                self.device = int(self._allocation)
        self._size = size

    def upload(self, size: int, stream: Any) -> None:
        """Copy the first `size` bytes from the host to the GPU."""
        if self._allocation is not None:
            self._gpu.driver.memcpy_htod_async(self.device, self.host[:size], stream)

    def download(self, size: int, stream: Any) -> None:
        """Copy the first `size` bytes from the GPU to the host."""
        if self._allocation is not None:
            self._gpu.driver.memcpy_dtoh_async(self.host[:size], self.device, stream)

    def free(self) -> None:
        """Give the memory back; nothing on the GPU may be using it."""
        if self._allocation is not None:
            self._allocation.free()
            self._allocation = None
        if self._pages is not None:
            self.host = np.empty(0, np.uint8)
            self._pages.free()
            self._pages = None
        self._size = 0
        self.device = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame's bytes in a slot's memory."""

    memory: HostDeviceBuffer
    size: int  # bytes
    layout: PixelLayout
    row_step: int  # bytes from one row to the next


class Slot:
    """What one batch needs from its upload to its result; reused for every second batch.

    Attributes:
        outputs: what the networks return, one for each of its passes through a network.
    """

    def __init__(self, gpu: Gpu, max_batch: int, *, is_gray: bool = False) -> None:
        """Make a slot; `gpu`'s context must be current here and in every method."""
        self.outputs = [HostDeviceBuffer(gpu, mapped=True) for _ in range(max_batch)]
        self._gpu = gpu
        self._is_gray = is_gray
        self._memories = [HostDeviceBuffer(gpu, mapped=MAPPED_FRAMES) for _ in range(max_batch)]
        self._events: list[Any] = []
        self._spans: list[tuple[str, Any, Any]] = []

    def stage(self, frames: Sequence[Frame], times: StageTimes) -> list[Picture]:
        """Copy frames to page-locked memory.

        Encodings that the kernel cannot read become BGR; all become grey for a network of those.
        """
        self._spans.clear()
        return [
            self._stage(memory, frame, times)
            for memory, frame in zip(self._memories[: len(frames)], frames, strict=True)
        ]

    @contextmanager
    def span(self, stage: str, stream: Any) -> Iterator[Any]:
        """Time what the body puts on `stream`; yield the event at its end."""
        start, end = self._pair()
        self._spans.append((stage, start, end))
        start.record(stream)
        yield end
        end.record(stream)

    def finish(self, times: StageTimes) -> None:
        """Wait until the GPU has done everything, and record how long each stage took."""
        _, _, last = self._spans[-1]
        last.synchronize()
        for stage, start, end in self._spans:
            times.add(stage, end.time_since(start) / 1000)
        self._spans.clear()

    def close(self) -> None:
        """Free memory and events; the GPU must be done with them."""
        for memory in (*self._memories, *self.outputs):
            memory.free()
        self._spans.clear()
        self._events.clear()

    def _pair(self) -> tuple[Any, Any]:
        """Return two unused events; they are made once and kept."""
        first = 2 * len(self._spans)
        while len(self._events) < first + 2:
            # Waiting for it lets the thread sleep; CUDA's default would keep a core busy.
            flags = self._gpu.driver.event_flags.BLOCKING_SYNC
            self._events.append(self._gpu.driver.Event(flags))
        return self._events[first], self._events[first + 1]

    def _stage(self, memory: HostDeviceBuffer, frame: Frame, times: StageTimes) -> Picture:
        pixels: npt.NDArray[np.generic] = frame.pixels
        layout = LAYOUTS.get(frame.encoding)
        if self._is_gray:
            with times.measure("convert"):
                pixels, layout = frame.to_gray(), LAYOUTS["mono8"]
        elif layout is None:
            with times.measure("convert"):
                pixels, layout = frame.to_bgr(), LAYOUTS["bgr8"]
        with times.measure("copy"):
            memory.reserve(pixels.nbytes)
            np.copyto(memory.host[: pixels.nbytes].reshape(pixels.shape), pixels)
        return Picture(memory, pixels.nbytes, layout, pixels.nbytes // len(pixels))
