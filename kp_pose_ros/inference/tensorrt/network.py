# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine plan, loaded: where its input goes, and its enqueue."""

from __future__ import annotations

from contextlib import ExitStack
from math import prod
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.bindings import LOGGER, NAME, trt
from kp_pose_ros.inference.tensorrt.gpu import Gpu, GpuFailureError
from kp_pose_ros.inference.tensorrt.tensors import BYTES, Shape, read_tensors, sides_of


class PlanRefusedError(EngineError):
    """TensorRT does not take the plan: it is damaged, or made for another version or GPU."""


class Network:
    """A deserialized plan with an execution context and the memory that its input lives in.

    Attributes:
        tensors: what it takes and returns.
        output: shape of the output for one picture.
        output_bytes: size of the output for one picture.
    """

    def __init__(self, plan: bytes, gpu: Gpu, size: tuple[int, int], max_batch: int) -> None:
        """Load a plan; `gpu`'s context must be current here and in every method.

        Args:
            plan: the serialized engine.
            gpu: what it runs on.
            size: (height, width) of its input.
            max_batch: how many pictures the caller has at most.

        Raises:
            PlanRefusedError: TensorRT does not take it.
            EngineError: its input or output is not that of a pose network of that size.
            GpuFailureError: there is not enough memory.
        """
        self._gpu = gpu
        self._picture: Shape = (3, *size)
        with ExitStack() as undo:
            undo.callback(self._drop)
            self._load(plan)
            self.tensors = read_tensors(self._engine, self._picture, max_batch)
            self._make_context()
            self._set_shape(self.tensors.batch)
            self.output: Shape = sides_of(self._context.get_tensor_shape(self.tensors.output))[1:]
            self.output_bytes = prod(self.output) * BYTES[self.tensors.output_element]
            self._place_bytes = prod(self._picture) * BYTES[self.tensors.input_element]
            with gpu.errors("allocating the network's input"):
                memory = gpu.driver.mem_alloc(self.tensors.batch * self._place_bytes)
            undo.callback(memory.free)
            self._input = int(memory)
            self._undo = undo.pop_all()

    def place(self, slot: int) -> int:
        """Return the device address of a picture in the input."""
        return self._input + slot * self._place_bytes

    def enqueue(self, pictures: int, output: int, stream: Any) -> None:
        """Run the first `pictures` of the input on a stream.

        Args:
            pictures: how many; an engine of a fixed batch runs all of its places.
            output: device address of room for as many outputs as it runs.
            stream: the pycuda stream.

        Raises:
            GpuFailureError: TensorRT refused the call.
        """
        self._set_shape(pictures)
        context, tensors = self._context, self.tensors
        context.set_tensor_address(tensors.input, self._input)
        context.set_tensor_address(tensors.output, output)
        if not context.execute_async_v3(stream.handle):
            raise GpuFailureError(
                f"{NAME} failed to run a batch of {pictures} on {self._gpu.info} "
                f"({LOGGER.take_errors()}): if it happens again, remove the engine from the cache"
            )

    def close(self) -> None:
        """Free everything; the GPU must be done with it."""
        self._undo.close()

    def _load(self, plan: bytes) -> None:
        LOGGER.take_errors()
        self._runtime: Any = trt.Runtime(LOGGER)
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise PlanRefusedError(f"{NAME} on {self._gpu.info} says: {LOGGER.take_errors()}")

    def _make_context(self) -> None:
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise GpuFailureError(
                f"{NAME} cannot make an execution context on {self._gpu.info} "
                f"({LOGGER.take_errors()}): lower max_batch or imgsz, or end other programs that "
                "use the GPU"
            )

    def _set_shape(self, pictures: int) -> None:
        if not self.tensors.has_fixed_batch:
            self._context.set_input_shape(self.tensors.input, (pictures, *self._picture))

    def _drop(self) -> None:
        """Let go of TensorRT's objects, each before the one that it was made by."""
        self._context = None
        self._engine = None
        self._runtime = None
