# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine: plans, poses, the host's times, overlap, leaks, and the benchmark."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.inference.progress import Progress
from kp_pose_ros.models.cache import cache_folder
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.poses import Poses

from .child import last_line
from .kernels import primary_context
from .results import SIZE, Case, Result, passed

PIXELS = 2.0  # how far float16 may be from ONNX Runtime's float32, in network pixels
SURE = 0.5  # minimum score of the people and keypoints that are compared
THREADS = 4
OPENS = 20
LOST_MEGABYTES = 16.0  # over all but the first opens; a leak of one network's memory is more


class _Count(Progress):
    """Counts the plans that are built."""

    def __init__(self) -> None:
        self.builds = 0

    def begin(self) -> None:
        self.builds += 1


def open_engine(
    case: Case,
    precision: str = "fp16",
    max_batch: int = 1,
    *,
    graphs: bool | None = None,
    mapped: bool = False,
    progress: Progress | None = None,
) -> Any:
    """Open the engine, with or without CUDA graphs and mapped memory."""
    from kp_pose_ros.inference.tensorrt import network, slot
    from kp_pose_ros.inference.tensorrt.engine import TensorRTEngine

    network.CUDA_GRAPHS = network.CUDA_GRAPHS if graphs is None else graphs
    slot.MAPPED_FRAMES = mapped
    return TensorRTEngine(
        case.model, SIZE, max_batch, precision=precision, progress=progress or _Count()
    )


def plans(case: Case) -> Iterator[Result]:
    """Plans are built; a second open takes them from the cache, even if that cannot be written."""
    for precision, max_batch in (("fp16", 1), ("fp16", 4), ("fp32", 1)):
        yield _opened(f"plan, {precision}, batch {max_batch}", case, precision, max_batch, builds=1)
    yield _opened("plan, second open", case, "fp16", 1, builds=0)
    step = "plan, from a read-only cache"
    if os.geteuid() == 0:
        yield Result(step, "SKIP", note="root may write everywhere: run this as another user")
        return
    folder = cache_folder()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        yield _opened(step, case, "fp16", 1, builds=0)
    finally:
        folder.chmod(stat.S_IRWXU)


def _opened(step: str, case: Case, precision: str, max_batch: int, *, builds: int) -> Result:
    count = _Count()
    started = time.perf_counter()
    open_engine(case, precision, max_batch, progress=count).close()
    milliseconds = (time.perf_counter() - started) * 1000
    return Result(step, passed(count.builds == builds), times=[milliseconds])


def poses_by(engine: Any, model: PoseModel, frames: Sequence[Frame], count: int) -> list[Poses]:
    """Return the poses in frames, in batches of `count`."""
    estimator = PoseEstimator(engine, model, DecodeSettings())
    found: list[Poses] = []
    for start in range(0, len(frames), count):
        found += estimator.estimate(frames[start : start + count])
    return found


def by_onnx_runtime(model: PoseModel, frames: Sequence[Frame]) -> list[Poses]:
    """Return what ONNX Runtime finds."""
    from kp_pose_ros.inference.onnx.engine import OnnxEngine

    return poses_by(OnnxEngine(model, SIZE), model, frames, 1)


def differences(
    found: Sequence[Poses], expected: Sequence[Poses], frames: Sequence[Frame]
) -> npt.NDArray[np.float64]:
    """Return how far apart boxes and keypoints with a score above `SURE` are, in network pixels.

    Infinity is among them if one of the two has such a person and the other does not.
    """
    apart = [np.zeros(1)]
    for ours, theirs, frame in zip(found, expected, frames, strict=True):
        gain = min(ours / theirs for ours, theirs in zip(SIZE, frame.size, strict=True))
        for some, others in ((ours, theirs), (theirs, ours)):
            for person in np.flatnonzero(some.scores > SURE):
                apart.append(gain * _nearest(some, int(person), others))
    return np.concatenate(apart)


def _nearest(some: Poses, person: int, others: Poses) -> npt.NDArray[np.float64]:
    """Return how far a person of `some` is from the nearest of `others`, in source pixels."""
    if not len(others):
        return np.array([np.inf])
    boxes = np.abs(others.boxes - some.boxes[person]).max(axis=1)
    nearest = int(boxes.argmin())
    mine, their = some.keypoints[person], others.keypoints[nearest]
    sure = (mine[:, 2] > SURE) & (their[:, 2] > SURE)
    keypoints = np.abs(mine[sure, :2] - their[sure, :2]).ravel()
    return np.append(keypoints, boxes[nearest]).astype(np.float64)


def mixed_frames(case: Case) -> list[Frame]:
    """Return each picture as it is, at half its size, and its left two thirds."""
    frames = []
    for frame in case.frames():
        half = cv2.resize(frame.pixels, None, fx=0.5, fy=0.5)
        left = np.ascontiguousarray(frame.pixels[:, : frame.size[1] * 2 // 3])
        frames += [frame, Frame(half), Frame(left)]  # type: ignore[arg-type]
    return frames


def poses(case: Case) -> Iterator[Result]:
    """Poses of each precision, kind of memory and batch, with and without graphs."""
    frames = mixed_frames(case)
    expected = by_onnx_runtime(case.model, frames)
    for precision, max_batch, mapped, graphs in (
        ("fp32", 1, False, False),
        ("fp16", 1, False, False),
        ("fp16", 1, False, True),
        ("fp16", 1, True, True),
        ("fp16", 4, False, True),
    ):
        engine = open_engine(case, precision, max_batch, mapped=mapped, graphs=graphs)
        worst = 0.0
        for count in range(1, max_batch + 1):
            batches_a_round = math.ceil(len(frames) / count)
            # Both slots' second run is captured, and the fifth batch launches what was captured.
            for _ in range(math.ceil(5 / batches_a_round)):
                found = poses_by(engine, case.model, frames, count)
                worst = max(worst, float(differences(found, expected, frames).max()))
        engine.close()
        batches = f"1 to {max_batch}" if max_batch > 1 else "1"
        memory = "mapped" if mapped else "own"
        step = f"poses, {precision}, batch {batches}, {memory} memory, graphs {graphs}"
        yield Result(step, passed(worst <= PIXELS), worst, note="pixels from ONNX Runtime")


def int8(case: Case) -> Iterator[Result]:
    """An int8 plan finds what ONNX Runtime finds with the same graph."""
    from kp_pose_ros.inference.tensorrt.quantize import calibrate

    with tempfile.TemporaryDirectory() as folder:
        for path in case.pictures:
            (Path(folder) / path.name).symlink_to(path.resolve())
        graph = calibrate(case.model, SIZE, Path(folder))
    frames = case.frames()
    engine = open_engine(case, "int8")
    found = poses_by(engine, case.model, frames, 1)
    engine.close()
    apart = differences(found, by_onnx_runtime(PoseModel.open(graph), frames), frames)
    note = "pixels from ONNX Runtime with the same graph; PASS where the median is below 2"
    yield Result("poses, int8", passed(np.median(apart) <= PIXELS), float(apart.max()), note=note)


def submits(case: Case) -> Iterator[Result]:
    """Two batches in flight, each call from the next of four threads; the host's times."""
    with ExitStack() as stack:
        threads = cycle([stack.enter_context(ThreadPoolExecutor(1)) for _ in range(THREADS)])
        for graphs in (False, True):
            yield from _submits(case, threads, graphs=graphs)


def _submits(
    case: Case, threads: Iterator[ThreadPoolExecutor], *, graphs: bool
) -> Iterator[Result]:
    frames = case.frames()[:1]
    engine = open_engine(case, graphs=graphs)
    expected = poses_by(engine, case.model, frames, 1)
    estimator = PoseEstimator(engine, case.model, DecodeSettings())
    submitted: list[float] = []
    collected: list[float] = []
    worst = 0.0
    pending = [_timed(next(threads), submitted, engine.submit, frames)]
    for _ in range(case.submits):
        pending.append(_timed(next(threads), submitted, engine.submit, frames))
        rows = _timed(next(threads), collected, pending.pop(0).result)
        found = estimator.decode(frames, rows)
        worst = max(worst, float(differences(found, expected, frames).max()))
    pending.pop().result()
    engine.close()
    step, note = f"{case.submits} times, graphs {graphs}", "of the host; pixels from the first"
    yield Result(f"submit, {step}", passed(worst <= PIXELS), worst, submitted, note)
    yield Result(f"result, {step}", times=collected, note="of the host, with waiting")


def _timed(
    thread: ThreadPoolExecutor,
    times: list[float],
    function: Callable[..., Any],
    *arguments: Any,
) -> Any:
    """Call a function in a thread; append how many milliseconds it takes."""

    def call() -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        times.append((time.perf_counter() - started) * 1000)
        return result

    return thread.submit(call).result()


def overlap(case: Case) -> Iterator[Result]:
    """The upload of a batch begins before the inference of the batch before it has ended."""
    engine = open_engine(case, max_batch=4)
    margins = [_margin(engine, case.frames()[:1] * 2) for _ in range(10)]
    engine.close()
    early = sum(margin > 0 for margin in margins)
    note = f"{early} of 10"
    yield Result("upload n+1 inside inference n", passed(early > 5), times=margins, note=note)


def _margin(engine: Any, frames: Sequence[Frame]) -> float:
    """Return how many milliseconds an upload begins before the previous inference ends."""
    batches = engine.submit(frames), engine.submit(frames)
    spans = [{name: (a, b) for name, a, b in each.slot._spans} for each in batches]
    for batch in batches:
        batch.result()
    with engine._gpu.current():
        return float(spans[0]["infer"][1].time_since(spans[1]["h2d"][0]))


def leaks(case: Case) -> Iterator[Result]:
    """The GPU memory that is lost over many opens and closes."""
    free = []
    for _ in range(OPENS):
        engine = open_engine(case)
        engine.submit(case.frames()[:1]).result()
        engine.close()
        if stand_in := sys.modules.get("torch"):
            stand_in.cuda.empty_cache()  # it keeps what it frees
        with primary_context() as driver:
            free.append(driver.mem_get_info()[0])
    lost = max(0, free[2] - free[-1]) / 1e6
    yield Result(f"{OPENS} opens and closes", passed(lost < LOST_MEGABYTES), lost, note="MB lost")


def bench(case: Case) -> Iterator[Result]:
    """The node's speed with and without overlay."""
    command = [sys.executable, "-m", "kp_pose_ros.cli", "bench", *map(str, case.pictures)]
    command += ["--engine", "tensorrt", "--model", str(case.model.path), "--rounds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ROS 2 was not found" in done.stderr:
        yield Result("kp_pose bench", "SKIP", note="ROS 2 was not found")
        return
    said = last_line(done.stderr) if done.returncode else "the tables are below"
    yield Result("kp_pose bench", passed(done.returncode == 0), note=said, text=done.stdout)
