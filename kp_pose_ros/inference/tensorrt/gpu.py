# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The GPU and its primary context, and CUDA's errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import clear_frames
from types import ModuleType
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.availability import why_unavailable


class GpuFailureError(EngineError):
    """The GPU or its driver failed; a new context may work again."""


def let_go(error: BaseException | None) -> None:
    """Drop what the frames of an error's traceback hold.

    Among it are objects on the GPU, and those have to be gone before their context is.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """What an engine plan depends on, and how memory is best used.

    Attributes:
        name: such as "Orin" or "NVIDIA GeForce RTX 4090".
        compute_capability: such as "8.7".
        memory: bytes of its memory.
        shares_memory: whether it reads the host's memory in place, as on a Jetson.
    """

    name: str
    compute_capability: str
    memory: int
    shares_memory: bool

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


class Gpu:
    """The first CUDA device that CUDA_VISIBLE_DEVICES leaves, and its primary context.

    pycuda keeps a stack of contexts a thread, and a thread that ends with one on it aborts the
    process. So the context is current only inside `with gpu.current():`, on whatever thread that
    is, and everything on the GPU is made, used and freed there.

    Attributes:
        driver: the module `pycuda.driver`.
        info: what device it is.
    """

    def __init__(self) -> None:
        """Retain the primary context.

        Raises:
            EngineError: there is no GPU, or TensorRT or pycuda is missing.
        """
        if reason := why_unavailable():
            raise EngineError(f"engine 'tensorrt' cannot run here: {reason}")
        from pycuda import driver

        self.driver: ModuleType = driver
        device = driver.Device(0)
        self.info = _info(device, driver)
        with self.errors("opening the GPU"):
            self._context = device.retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current on this thread; may be nested."""
        with self.errors("using the GPU"):
            self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn errors of the CUDA driver into GpuFailureError; `doing` says what was tried."""
        try:
            yield
        except self.driver.MemoryError as error:
            raise GpuFailureError(
                f"the memory of {self.info} ran out while {doing} ({error}): lower max_batch or "
                "imgsz, or end other programs that use the GPU"
            ) from error
        except self.driver.Error as error:
            raise GpuFailureError(
                f"{self.info} failed while {doing} ({error}): if it happens again, look for the "
                "driver's reason in `dmesg` and restart the machine"
            ) from error

    def close(self) -> None:
        """Release the context; everything made under it must have been freed."""
        self._context.push()
        self._context.detach()  # and so pops it


def _info(device: Any, driver: ModuleType) -> GpuInfo:
    attribute = driver.device_attribute
    shares_memory = all(
        device.get_attribute(each) for each in (attribute.INTEGRATED, attribute.CAN_MAP_HOST_MEMORY)
    )
    major, minor = device.compute_capability()
    return GpuInfo(device.name(), f"{major}.{minor}", device.total_memory(), shares_memory)
