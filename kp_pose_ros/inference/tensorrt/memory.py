# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Memory that the host and the GPU both reach, allocated once and grown only."""

from __future__ import annotations

from typing import Any

import numpy as np

from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.inference.tensorrt.gpu import Gpu


class SharedMemory:
    """Bytes with an address on the host and one on the GPU.

    Where the GPU shares the host's memory both are the same bytes and nothing is copied; elsewhere
    `upload` and `download` copy between page-locked host memory and the GPU's own, on a stream.

    Attributes:
        host: the bytes on the host.
        device: the address on the GPU.
    """

    def __init__(self, gpu: Gpu) -> None:
        """Take no memory yet; `gpu`'s context must be current here and in every method."""
        self._gpu = gpu
        self._pages: Any = None  # owns the host's bytes
        self._allocation: Any = None  # owns the GPU's, where they are others
        self._size = 0
        self.host: Pixels = np.empty(0, np.uint8)
        self.device = 0

    def reserve(self, size: int) -> None:
        """Make room for `size` bytes; what was there is lost if that means to grow.

        Raises:
            GpuFailureError: there is not enough memory.
        """
        if size <= self._size:
            return
        self.free()
        driver = self._gpu.driver
        with self._gpu.errors(f"allocating {size} bytes"):
            if self._gpu.info.shares_memory:
                flags = driver.host_alloc_flags.DEVICEMAP
                self.host = driver.pagelocked_empty(size, np.uint8, mem_flags=flags)
                self._pages = self.host.base
                self.device = int(self._pages.get_device_pointer())
            else:
                self.host = driver.pagelocked_empty(size, np.uint8)
                self._pages = self.host.base
                self._allocation = driver.mem_alloc(size)
                self.device = int(self._allocation)
        self._size = size

    def upload(self, start: int, stop: int, stream: Any) -> None:
        """Copy bytes `start` to `stop` from the host to the GPU."""
        if self._allocation is not None:
            source = self.host[start:stop]
            self._gpu.driver.memcpy_htod_async(self.device + start, source, stream)

    def download(self, start: int, stop: int, stream: Any) -> None:
        """Copy bytes `start` to `stop` from the GPU to the host."""
        if self._allocation is not None:
            target = self.host[start:stop]
            self._gpu.driver.memcpy_dtoh_async(target, self.device + start, stream)

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
