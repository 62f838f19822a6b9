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
from fakes.machine import Machine
from fakes.tensorrt import make_tensorrt

folder = Path(sys.argv[1])
os.environ["KP_POSE_CACHE"] = str(folder / "cache")


class Lenient(Machine):
    """Checks nothing: the driver does."""

    def call(self, name, *, needs_context=True):
        pass

    def find(self, address, size, kinds):
        pass


trt = sys.modules["tensorrt"] = make_tensorrt(Lenient(None))


def execute_async_v3(self, handle):
    assert isinstance(handle, int)
    source, target = (self._memory(name) for name in self.engine.tensors)
    target[1][:] = self.engine.session.run(None, {source[0]: source[1]})[0]
    return True


trt.IExecutionContext.execute_async_v3 = execute_async_v3
del trt.IExecutionContext.__del__

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
expected = OnnxEngine(model, (64, 96), 3).infer(frames)
engine = in_a_thread(TensorRTEngine, model, (64, 96), 3, precision="fp32")
if "LOSE" in os.environ:
    for _ in range(2):
        try:
            in_a_thread(engine.infer, frames)
        except GpuLostError as error:
            print(error)
    in_a_thread(engine.close)
    sys.exit(1)
for _ in range(20):
    batches = [in_a_thread(engine.submit, frames) for _ in range(2)]
    for batch in batches:
        for one, other in zip(in_a_thread(batch.result), expected, strict=True):
            np.testing.assert_allclose(one.rows, other.rows, atol=1 / 255)
assert in_a_thread(close_and_look, engine) is None
print(engine.name)
