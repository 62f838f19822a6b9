# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the engine with the real pycuda and a stand-in for TensorRT, each call from a new thread.

Usage: on_real_pycuda.py FOLDER, with a driver preloaded. It fails where ONNX Runtime finds other
rows. With $LOSE in the environment, the GPU is lost on the way: it says so and ends with 1.
"""

import ctypes
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from echo_model import write_echo_model
from fakes.machine import array_at
from fakes.tensorrt import make_tensorrt_on_a_driver

folder = Path(sys.argv[1])
os.environ["KP_POSE_CACHE"] = str(folder / "cache")


def execute(engine, source, target, stream):
    assert isinstance(stream, int)
    (name,) = (each.name for each in engine.session.get_inputs())
    (rows,) = engine.session.run(None, {name: array_at(*source)})
    array_at(*target)[:] = rows


sys.modules["tensorrt"] = make_tensorrt_on_a_driver(execute)

from kp_pose_ros.errors import GpuLostError  # noqa: E402
from kp_pose_ros.image.frame import Frame  # noqa: E402
from kp_pose_ros.inference.onnx.engine import OnnxEngine  # noqa: E402
from kp_pose_ros.inference.tensorrt.engine import TensorRTEngine  # noqa: E402
from kp_pose_ros.models.model import PoseModel  # noqa: E402


def in_a_thread(function, *arguments, **more):
    with ThreadPoolExecutor(1) as one:
        return one.submit(function, *arguments, **more).result()


def current_context():
    """Return the context that the driver has for this thread, or None."""
    context = ctypes.c_void_p()
    ctypes.CDLL("libcuda.so.1").cuCtxGetCurrent(ctypes.byref(context))
    return context.value


def close_and_look(engine):
    engine.close()
    return current_context()


model = PoseModel.open(write_echo_model(folder / "echo.onnx"))
noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
frames = [Frame(noise), Frame(noise // 2), Frame(noise[..., :2], "yuyv")]
expected = OnnxEngine(model, (64, 96), 3).submit(frames).result()
if "LOSE" in os.environ:
    # In the thread in which pycuda frees what is left, which must not end in an abort.
    engine = TensorRTEngine(model, (64, 96), 3, precision="fp32")
    for _ in range(2):
        try:
            in_a_thread(lambda: engine.submit(frames).result())
        except GpuLostError as error:
            print(error)
    in_a_thread(engine.close)
    sys.exit(1)
engine = in_a_thread(TensorRTEngine, model, (64, 96), 3, precision="fp32")
for _ in range(20):
    batches = [in_a_thread(engine.submit, frames) for _ in range(2)]
    for batch in batches:
        for one, other in zip(in_a_thread(batch.result), expected, strict=True):
            np.testing.assert_allclose(one.rows, other.rows, atol=1 / 255)
assert in_a_thread(close_and_look, engine) is None
print(engine.name)
