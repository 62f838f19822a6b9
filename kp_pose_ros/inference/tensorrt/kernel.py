# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox kernel: which camera layouts it reads, and what one launch needs to know."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.letterbox import Letterbox

FOLDER = Path(__file__).parent / "cuda"
SOURCE = FOLDER / "letterbox.cu"
# The first that the driver takes: one compiled by this machine's nvcc when the package was built,
# then the shipped one, which drivers since CUDA 11.8 take for every GPU since Xavier (sm_72).
BUILT_PTX = FOLDER / "letterbox_built.ptx"
SHIPPED_PTX = FOLDER / "letterbox.ptx"
BLOCK = (32, 8, 1)  # a warp writes 32 neighbours of a row
ELEMENTS = ("float32", "float16")


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the kernel reads one camera encoding."""

    kind: str  # which kernel: packed, yuv422 or nv12
    # for packed where red, green and blue are in a pixel; for yuv422 where the first luma, U and V
    # are in a pair of pixels
    offsets: tuple[int, int, int] = (0, 0, 0)
    pixel_bytes: int = 0  # bytes of one pixel, for packed


_BGR = PixelLayout("packed", (2, 1, 0), 3)
_GRAY = PixelLayout("packed", (0, 0, 0), 1)
_UYVY = PixelLayout("yuv422", (1, 0, 2))
_YUYV = PixelLayout("yuv422", (0, 1, 3))

LAYOUTS: dict[str, PixelLayout] = {
    "bgr8": _BGR,
    "8UC3": _BGR,
    "rgb8": PixelLayout("packed", (0, 1, 2), 3),
    "bgra8": PixelLayout("packed", (2, 1, 0), 4),
    "rgba8": PixelLayout("packed", (0, 1, 2), 4),
    "mono8": _GRAY,
    "8UC1": _GRAY,
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": PixelLayout("nv12"),
}


class Launch(ctypes.Structure):
    """The kernel's one argument, field by field as `struct Letterbox` in letterbox.cu has it."""

    _fields_ = (
        ("source", ctypes.c_void_p),
        ("network", ctypes.c_void_p),
        ("row_step", ctypes.c_int),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
        ("resized_height", ctypes.c_int),
        ("resized_width", ctypes.c_int),
        ("network_height", ctypes.c_int),
        ("network_width", ctypes.c_int),
        ("top", ctypes.c_int),
        ("left", ctypes.c_int),
        ("scale_y", ctypes.c_float),
        ("scale_x", ctypes.c_float),
        ("pixel_bytes", ctypes.c_int),
        ("offsets", ctypes.c_int * 3),
        ("planes", ctypes.c_int),
    )

    @classmethod
    def of(
        cls,
        letterbox: Letterbox,
        layout: PixelLayout,
        *,
        source: int,
        row_step: int,
        network: int,
        planes: int = 3,
    ) -> Launch:
        """Return the argument for one frame.

        Args:
            letterbox: the geometry.
            layout: how to read the picture.
            source: device address of the picture's first byte.
            row_step: bytes from one row of the picture to the next.
            network: device address of the frame's place in the network's input.
            planes: 3 for colour, or 1 for a network of grey pictures and a layout of grey ones.
        """
        (height, width), resized = letterbox.source, letterbox.resized
        scales = (height / resized[0], width / resized[1])
        corner = (letterbox.top, letterbox.left)
        numbers = (height, width, *resized, *letterbox.network, *corner, *scales)
        return cls(source, network, row_step, *numbers, layout.pixel_bytes, layout.offsets, planes)


def grid(network: tuple[int, int]) -> tuple[int, int, int]:
    """Return how many blocks cover a network input of (height, width)."""
    height, width = network
    return -(-width // BLOCK[0]), -(-height // BLOCK[1]), 1


def kernel_name(kind: str, element: str) -> str:
    """Return the name of the kernel that reads `kind` and writes numbers of type `element`."""
    return f"letterbox_{kind}_{element}"


class LetterboxKernel:
    """The compiled kernels, loaded into the current context."""

    def __init__(
        self, driver: ModuleType, files: tuple[Path, ...] = (BUILT_PTX, SHIPPED_PTX)
    ) -> None:
        """Load the first PTX of `files` that the driver takes; `driver` is `pycuda.driver`.

        Raises:
            EngineError: it takes none.
            pycuda.driver.Error: the memory ran out, or the GPU is lost.
        """
        self._module = _load(driver, files)
        self._functions: dict[tuple[str, str], Any] = {}
        for kind in {layout.kind for layout in LAYOUTS.values()}:
            for element in ELEMENTS:
                function = self._module.get_function(kernel_name(kind, element))
                function.prepare([f"{ctypes.sizeof(Launch)}s"])
                self._functions[kind, element] = function

    def launch(self, launch: Launch, kind: str, element: str, stream: Any) -> None:
        """Enqueue one frame on `stream`; the network takes numbers of type `element`."""
        blocks = grid((launch.network_height, launch.network_width))
        function = self._functions[kind, element]
        function.prepared_async_call(blocks, BLOCK, stream, bytes(launch))

    def close(self) -> None:
        """Unload the kernels, in the context that they were loaded into."""
        self._functions.clear()
        self._module = None


def _load(driver: ModuleType, files: tuple[Path, ...]) -> Any:
    refusals = []
    for path in files:
        if path.is_file():
            try:
                return driver.module_from_buffer(path.read_bytes())
            except driver.MemoryError:
                raise
            except driver.Error as error:
                driver.Context.synchronize()  # which raises on a lost GPU
                refusals.append(f"{path.name}: {error}")
    raise EngineError(
        f"the CUDA driver accepts no letterbox kernel ({'; '.join(refusals) or 'no PTX found'}): "
        "update the driver, or build the package again where nvcc of this driver's CUDA is on PATH"
    )
