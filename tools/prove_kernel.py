# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of tools/prove_gpu that need a CUDA driver but no TensorRT, and what a step returns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import ENCODINGS, Frame
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.tensorrt import kernel
from kp_pose_ros.inference.tensorrt.driver_api import DriverApi
from kp_pose_ros.models.model import PoseModel

SIZE = (384, 640)
LEVEL = 1 / 255


@dataclass
class Result:
    """A row of the table: `worst` is the largest difference, the times are in milliseconds."""

    step: str
    status: str = "PASS"
    worst: float | None = None
    times: list[float] = field(default_factory=list)
    note: str = ""

    def row(self) -> str:
        """Return it as a line of a Markdown table."""
        p50, p95 = ("", "")
        if self.times:
            p50, p95 = (f"{value:.3f}" for value in np.percentile(self.times, (50, 95)))
        worst = "" if self.worst is None else f"{self.worst:.4g}"
        return f"| {self.step} | {self.status} | {worst} | {p50} | {p95} | {self.note} |"


@dataclass
class Case:
    """What is proven with."""

    model: PoseModel
    pictures: list[Path]

    def frames(self) -> list[Frame]:
        """Read the pictures."""
        return [Frame(self._read(path)) for path in self.pictures]

    @staticmethod
    def _read(path: Path) -> Any:
        picture = cv2.imread(str(path))
        if picture is None:
            raise FrameError(f"the picture {path} cannot be read: expected a JPEG or PNG file")
        return picture


@contextmanager
def primary_context() -> Iterator[Any]:
    """Give pycuda.driver with the primary context current."""
    from pycuda import driver

    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        yield driver
    finally:
        DriverApi().pop_context()
        context.detach()  # which takes it off pycuda's own stack


def versions(case: Case) -> Iterator[Result]:
    """What runs here."""
    with primary_context() as driver:
        device = driver.Device(0)
        attribute = driver.device_attribute
        facts = {
            "GPU": device.name(),
            "capability": ".".join(map(str, device.compute_capability())),
            "multiprocessors": device.get_attribute(attribute.MULTIPROCESSOR_COUNT),
            "integrated": device.get_attribute(attribute.INTEGRATED),
            "memory (MB)": device.total_memory() >> 20,
            "driver": driver.get_driver_version(),
            "TensorRT": tensorrt_name() or "none",
        }
    yield Result("versions", note=", ".join(f"{name} {value}" for name, value in facts.items()))


def tensorrt_name() -> str:
    """Return the installed TensorRT's name and version, or an empty text."""
    try:
        from kp_pose_ros.inference.tensorrt.bindings import NAME
    except ImportError:
        return ""
    return NAME


def letterbox_kernels(case: Case) -> Iterator[Result]:
    """Both PTX files: every layout, size, row step and element type against OpenCV."""
    sizes = ((480, 640), (192, 320), (36, 64), (720, 1280))
    for path in (kernel.BUILT_PTX, kernel.SHIPPED_PTX):
        step = f"letterbox, {path.name}"
        if not path.is_file():
            yield Result(step, "SKIP", note="not built: no nvcc")
            continue
        with primary_context() as driver:
            loaded = kernel.LetterboxKernel(driver, (path,))
            worst, times = 0.0, []
            for encoding, size, margin, element in itertools.product(
                kernel.LAYOUTS, sizes, (0, 14), kernel.ELEMENTS
            ):
                frame, step_bytes = noise(encoding, size, margin)
                planes, seconds = on_gpu(driver, loaded, frame, step_bytes, element)
                difference = np.abs(planes.astype(np.float32) - by_opencv(frame)).max()
                worst = max(worst, float(difference))
                times.append(seconds)
            loaded.close()
        status = "PASS" if worst < LEVEL + 5e-4 else "FAIL"  # float16 rounds by up to 2.5e-4
        note = f"{len(times)} cases; expected below 1/255 = {LEVEL:.4g}"
        yield Result(step, status, worst, times, note)


def noise(encoding: str, size: tuple[int, int], margin: int) -> tuple[Frame, int]:
    """Return a frame of noise, and the bytes between rows that are `margin` pixels longer."""
    layout = ENCODINGS[encoding]
    rows = size[0] * layout.half_rows // 2
    axes = (layout.channels,) if layout.channels > 1 else ()
    values = np.random.default_rng(7).integers(0, 256, (rows, size[1] + margin, *axes), np.uint8)
    frame = Frame(values[:, : size[1]], encoding)
    return frame, values.strides[0]


def on_gpu(
    driver: Any, loaded: kernel.LetterboxKernel, frame: Frame, row_step: int, element: str
) -> tuple[Any, float]:
    """Return the planes that the kernel makes of a frame, and its milliseconds."""
    letterbox, layout = Letterbox.fit(frame.size, SIZE), kernel.LAYOUTS[frame.encoding]
    source = np.ascontiguousarray(
        frame.pixels.base if frame.pixels.base is not None else frame.pixels
    )
    planes = np.zeros((3, *SIZE), element)
    stream, start, end = driver.Stream(), driver.Event(), driver.Event()
    device, network = driver.mem_alloc(source.nbytes), driver.mem_alloc(planes.nbytes)
    driver.memcpy_htod_async(device, source, stream)
    launch = kernel.Launch.of(
        letterbox, layout, source=int(device), row_step=row_step, network=int(network)
    )
    start.record(stream)
    loaded.launch(launch, layout.kind, element, stream)
    end.record(stream)
    driver.memcpy_dtoh_async(planes, network, stream)
    stream.synchronize()
    milliseconds = float(end.time_since(start))
    device.free()
    network.free()
    return planes, milliseconds


def by_opencv(frame: Frame) -> Any:
    """Return the planes that the kernel should give."""
    letterbox = Letterbox.fit(frame.size, SIZE)
    canvas = letterbox.canvas()
    letterbox.apply(frame.to_bgr(), canvas)
    return canvas[..., ::-1].transpose(2, 0, 1) * np.float32(LEVEL)


def copies(case: Case) -> Iterator[Result]:
    """Host to device and the letterbox, with memory of the GPU's own and mapped memory."""
    with primary_context() as driver:
        results = measure_copies(driver)
    yield from results


def measure_copies(driver: Any) -> list[Result]:
    """Do so; what is allocated for it goes with the call."""
    loaded = kernel.LetterboxKernel(driver)
    frame, row_step = noise("bgr8", (1080, 1920), 0)
    size, network = frame.pixels.nbytes, driver.mem_alloc(3 * SIZE[0] * SIZE[1] * 4)
    flags = driver.host_alloc_flags.DEVICEMAP
    host = driver.pagelocked_empty(size, np.uint8, mem_flags=flags)
    host[:] = frame.pixels.ravel()
    device, stream = driver.mem_alloc(size), driver.Stream()
    letterbox, layout = Letterbox.fit(frame.size, SIZE), kernel.LAYOUTS["bgr8"]

    def run(source: int) -> None:
        launch = kernel.Launch.of(
            letterbox, layout, source=source, row_step=row_step, network=int(network)
        )
        loaded.launch(launch, layout.kind, "float32", stream)

    works: dict[str, Callable[[], object]] = {
        "copy of 1080p to the GPU": lambda: driver.memcpy_htod_async(device, host, stream),
        "letterbox of 1080p, memory of the GPU": lambda: run(int(device)),
        "letterbox of 1080p, mapped memory": lambda: run(int(host.base.get_device_pointer())),
    }
    results = []
    for step, work in works.items():
        times = timed(driver, stream, work)
        speed = size / 1e6 / max(float(np.median(times)), 1e-6)
        results.append(Result(step, times=times, note=f"{speed:.1f} GB/s"))
    return results


def timed(driver: Any, stream: Any, work: Callable[[], object], count: int = 50) -> list[float]:
    """Return how many milliseconds each run of some work takes on the GPU."""
    times = []
    for _ in range(count):
        start, end = driver.Event(), driver.Event()
        start.record(stream)
        work()
        end.record(stream)
        end.synchronize()
        times.append(float(end.time_since(start)))
    return times
