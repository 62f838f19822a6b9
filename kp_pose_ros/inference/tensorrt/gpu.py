# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The GPU: whether this machine has a usable one, its primary context, and CUDA's errors as ours.

Importing this module needs neither TensorRT nor pycuda.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kp_pose_ros.errors import EngineError, GpuLostError
from kp_pose_ros.inference.tensorrt.driver_api import DriverApi

# What a driver creates, whether or not Python can use the GPU: for cards, for a Jetson, and for
# Windows' driver inside WSL.
GPU_FILES = tuple(
    Path(path) for path in ("/dev/nvidiactl", "/dev/nvgpu", "/usr/lib/wsl/lib/libcuda.so.1")
)
SAVE_MEMORY = "lower max_batch or imgsz, or end other programs that use the GPU"


def has_gpu() -> bool:
    """Return whether this machine, or what a container sees of it, has an NVIDIA GPU."""
    return any(file.exists() for file in GPU_FILES)


def why_unavailable() -> str | None:
    """Return in one sentence what keeps TensorRT from running here; None if nothing is missing.

    Whether TensorRT starts on this driver shows only in a CUDA context: `Gpu` tries that.
    """
    try:
        from kp_pose_ros.inference.tensorrt import bindings
    except ImportError as error:
        return (
            f"TensorRT cannot be imported ({error}): install its Python package "
            "(JetPack: apt install python3-libnvinfer)"
        )
    if bindings.IS_TOO_OLD:
        return f"{bindings.NAME} is too old: expected 10.3 or later, as in JetPack 6.1"
    try:
        from pycuda import driver
    except ImportError as error:
        return f"pycuda cannot be imported ({error}): install an NVIDIA driver and pycuda"
    try:
        driver.init()
        driver.Device(0)
    except driver.Error as error:
        return (
            f"the CUDA driver finds no GPU ({error}): check that `nvidia-smi` works and what "
            "CUDA_VISIBLE_DEVICES says; on a Jetson, the user has to be in the groups video and "
            "render, which own /dev/nvmap and /dev/nvgpu"
        )
    return None


class UnavailableError(EngineError):
    """TensorRT cannot run on this machine.

    Attributes:
        reason: a sentence that names what keeps it from running.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"engine 'tensorrt' cannot run here: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """What an engine plan depends on, and how memory is best used."""

    name: str  # such as "Orin" or "NVIDIA GeForce RTX 4090"
    compute_capability: str  # such as "8.7"
    multiprocessors: int  # how many it has; the Jetson modules named "Orin" differ in nothing else
    shares_memory: bool  # whether it can use the host's memory in place, as on a Jetson

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


class Gpu:
    """The first CUDA device that CUDA_VISIBLE_DEVICES leaves, and its primary context.

    pycuda keeps a stack of contexts for each thread, and a thread that ends with a context on it
    aborts the process. So the context is current only inside `with gpu.current():`, on any thread,
    and everything on the GPU is made, used and freed there.

    After any CUDA error but out of memory the process cannot use the GPU again. `lost` is then set,
    and `current` raises.

    Attributes:
        driver: the module `pycuda.driver`.
        api: what pycuda lacks.
        info: what device it is.
        lost: what happened, once the GPU is lost; else empty.
    """

    def __init__(self) -> None:
        """Retain the primary context, and start TensorRT in it once.

        Raises:
            UnavailableError: there is no GPU, TensorRT or pycuda is missing, or TensorRT does not
                start.
            EngineError: there is no memory for a context.
        """
        if reason := why_unavailable():
            raise UnavailableError(reason)
        from pycuda import driver

        from kp_pose_ros.inference.tensorrt.bindings import new, trt

        self.driver: ModuleType = driver
        self.api = DriverApi()
        self.lost = ""
        device = driver.Device(0)
        self.info = _info(device, driver)
        with self.errors("opening the GPU"):
            self._context = device.retain_primary_context()
        try:
            with self.current():
                new(trt.Runtime)
        except EngineError as error:
            self.close()
            if self.lost:
                raise
            raise UnavailableError(str(error)) from error

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current on this thread; may be nested.

        Raises:
            GpuLostError: the GPU was lost before.
        """
        if self.lost:
            raise GpuLostError(self.lost)
        try:
            with self.errors("using the GPU"):
                self._context.push()
            try:
                yield
            finally:
                if not self.lost:
                    with self.errors("using the GPU"):
                        self._context.pop()  # which may report errors of earlier work, as push may
        finally:
            if self.lost:
                self._forget()

    def _forget(self) -> None:
        """Take the context off this thread, and keep pycuda from entering it ever again.

        Pycuda aborts the process where a thread ends with a context on its stack, and where an
        object is freed whose context the driver does not let it enter.
        """
        with suppress(self.driver.Error):  # it was forgotten before
            self._context.detach()
            self.api.pop_context()

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn errors of the CUDA driver into ours; `doing` says what was tried.

        Raises:
            EngineError: the memory ran out; later calls may work.
            GpuLostError: anything else happened.
        """
        try:
            yield
        except self.driver.MemoryError as error:
            raise EngineError(
                f"the memory of {self.info} ran out while {doing} ({error}): {SAVE_MEMORY}"
            ) from error
        except self.driver.Error as error:
            raise self.lose(doing, str(error)) from error

    def lose(self, doing: str, reason: str) -> GpuLostError:
        """Note that the GPU is lost; return the error to raise."""
        self.lost = (
            f"{self.info} failed while {doing} ({reason}), and this process cannot use it any "
            "more: start it again; if it happens again, look for the driver's reason in `dmesg`"
        )
        return GpuLostError(self.lost)

    def check(self, doing: str) -> None:
        """Wait for all work, which fails on a lost GPU; TensorRT's refusals do not show that.

        Raises:
            GpuLostError: the GPU is lost.
        """
        with self.errors(doing):
            self.driver.Context.synchronize()

    def close(self) -> None:
        """Release the context; everything made under it must have been freed."""
        if self.lost:
            return
        with self.errors("closing the GPU"):
            self._context.push()
            # Releasing a primary context pops nothing from the driver's stack (CUDA driver API,
            # cuDevicePrimaryCtxRelease), while `detach` pops pycuda's own.
            self.api.pop_context()
            self._context.detach()


def _info(device: Any, driver: ModuleType) -> GpuInfo:
    attribute = driver.device_attribute
    shares_memory = all(
        device.get_attribute(each) for each in (attribute.INTEGRATED, attribute.CAN_MAP_HOST_MEMORY)
    )
    major, minor = device.compute_capability()
    return GpuInfo(
        device.name(),
        f"{major}.{minor}",
        device.get_attribute(attribute.MULTIPROCESSOR_COUNT),
        shares_memory,
    )
