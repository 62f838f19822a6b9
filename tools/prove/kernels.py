# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What needs a CUDA driver but no TensorRT: versions, the letterbox kernels, and copies."""

from __future__ import annotations

import itertools
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from kp_pose_ros.image.frame import ENCODINGS, Frame
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.tensorrt import driver_api, kernel

from .child import last_line
from .results import SIZE, Case, Result, passed

LEVEL = 1 / 255
RUNS = 50  # of each copy


@contextmanager
def primary_context() -> Iterator[Any]:
    """Yield pycuda.driver with the primary context current."""
    from pycuda import driver

    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    try:
        yield driver
    finally:
        driver_api.DriverApi().pop_context()
        context.detach()  # which takes it off pycuda's own stack


def versions(case: Case) -> Iterator[Result]:
    """The versions of the GPU, the driver and the libraries."""
    with primary_context() as driver:
        device = driver.Device(0)
        attribute = driver.device_attribute
        facts = {
            "GPU": device.name(),
            "capability": ".".join(map(str, device.compute_capability())),
            "multiprocessors": device.get_attribute(attribute.MULTIPROCESSOR_COUNT),
            "integrated": device.get_attribute(attribute.INTEGRATED),
            "maps host memory": device.get_attribute(attribute.CAN_MAP_HOST_MEMORY),
            "memory (MB)": device.total_memory() >> 20,
            "driver's CUDA": driver.get_driver_version(),
            "Python": platform.python_version(),
            "numpy": np.__version__,
            "OpenCV": cv2.__version__,
            "machine": platform.machine(),
        }
    yield Result("versions", note=", ".join(f"{name} {value}" for name, value in facts.items()))


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
                difference = np.abs(planes - by_opencv(frame)).max()
                worst = max(worst, float(difference))
                times.append(seconds)
            loaded.close()
        is_near = worst < LEVEL + 5e-4  # float16 rounds by up to 2.5e-4
        note = f"{len(times)} cases; expected below 1/255 = {LEVEL:.4g}"
        yield Result(step, passed(is_near), worst, times, note)


def sanitizer(case: Case) -> Iterator[Result]:
    """The kernels under compute-sanitizer, which sees what they read and write out of bounds."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        yield Result("compute-sanitizer", "SKIP", note="not installed")
        return
    command = [program, "--error-exitcode", "99", *case.itself, "letterbox_kernels"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    yield Result(
        "compute-sanitizer", passed(done.returncode == 0), note=last_line(done.stdout + done.stderr)
    )


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
    whole: Any = frame.pixels if frame.pixels.base is None else frame.pixels.base
    source = driver.pagelocked_empty(whole.shape, np.uint8)
    source[:] = whole
    planes = driver.pagelocked_empty((3, *SIZE), element)
    stream, start, end = driver.Stream(), driver.Event(), driver.Event()
    device, network = driver.mem_alloc(source.nbytes), driver.mem_alloc(planes.nbytes)
    driver.memcpy_htod_async(int(device), source, stream)
    launch = kernel.Launch.of(
        letterbox, layout, source=int(device), row_step=row_step, network=int(network)
    )
    start.record(stream)
    loaded.launch(launch, layout.kind, element, stream)
    end.record(stream)
    driver.memcpy_dtoh_async(planes, int(network), stream)
    stream.synchronize()
    milliseconds, made = float(end.time_since(start)), planes.astype(np.float32)
    for each in (device, network, source.base, planes.base):
        each.free()
    return made, milliseconds


def by_opencv(frame: Frame) -> Any:
    """Return the planes that the kernel should make, by OpenCV."""
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
    """Measure `copies`; its allocations end with this call, while the context is current."""
    loaded = kernel.LetterboxKernel(driver)
    frame, row_step = noise("bgr8", (1080, 1920), 0)
    size, network = frame.pixels.nbytes, driver.mem_alloc(3 * SIZE[0] * SIZE[1] * 4)
    flags = driver.host_alloc_flags.DEVICEMAP
    host = driver.pagelocked_empty(size, np.uint8)
    mapped = driver.pagelocked_empty(size, np.uint8, mem_flags=flags)
    host[:] = mapped[:] = frame.pixels.ravel()
    device, stream = driver.mem_alloc(size), driver.Stream()
    letterbox, layout = Letterbox.fit(frame.size, SIZE), kernel.LAYOUTS["bgr8"]

    def run(source: int) -> None:
        launch = kernel.Launch.of(
            letterbox, layout, source=source, row_step=row_step, network=int(network)
        )
        loaded.launch(launch, layout.kind, "float32", stream)

    works: dict[str, Callable[[], object]] = {
        "copy of 1080p to the GPU": lambda: driver.memcpy_htod_async(int(device), host, stream),
        "letterbox of 1080p, memory of the GPU": lambda: run(int(device)),
        "letterbox of 1080p, mapped memory": lambda: run(int(mapped.base.get_device_pointer())),
        "copy of 1080p to the host": lambda: driver.memcpy_dtoh_async(host, int(device), stream),
    }
    results = []
    for step, work in works.items():
        times = timed(driver, stream, work)
        speed = size / 1e6 / max(float(np.median(times)), 1e-6)
        results.append(Result(step, times=times, note=f"{speed:.1f} GB/s"))
    loaded.close()
    for each in (device, network, host.base, mapped.base):
        each.free()
    return results


def timed(driver: Any, stream: Any, work: Callable[[], object]) -> list[float]:
    """Return how many milliseconds each run of `work` takes on the GPU."""
    times = []
    for _ in range(RUNS):
        start, end = driver.Event(), driver.Event()
        start.record(stream)
        work()
        end.record(stream)
        end.synchronize()
        times.append(float(end.time_since(start)))
    return times
