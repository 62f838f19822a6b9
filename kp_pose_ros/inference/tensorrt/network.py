# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One engine plan, loaded: what it takes and returns, where its input is, and its enqueue."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.bindings import (
    IS_RTX,
    LOGGER,
    NAME,
    is_out_of_memory,
    new,
    trt,
)
from kp_pose_ros.inference.tensorrt.driver_api import OUT_OF_MEMORY, CudaGraph
from kp_pose_ros.inference.tensorrt.gpu import SAVE_MEMORY, Gpu
from kp_pose_ros.inference.tensorrt.slot import SLOTS

Shape = tuple[int, ...]

# Whether a batch's second run and all later ones are launched as a CUDA graph. TensorRT for RTX
# compiles kernels while it runs and captures graphs by itself.
CUDA_GRAPHS = not IS_RTX
# How many runs are kept for each picture of a batch: one for each slot, and as many again for the
# batches of cameras of mixed shapes, in which another network comes first.
_KEPT_RUNS = 2 * SLOTS
_BYTES = {"float32": 4, "float16": 2}
_log = logging.getLogger(__name__)


class PlanRefusedError(EngineError):
    """TensorRT does not take the plan: it is damaged, or made for another version or GPU."""


@dataclass(frozen=True, slots=True)
class Tensors:
    """The one input and the one output of an engine."""

    input: str  # its name
    output: str
    input_element: str  # type of its numbers, float32 or float16
    output_element: str
    batch: int  # how many pictures it takes at most
    has_fixed_batch: bool  # whether it takes no fewer


class Network:
    """A deserialized plan, with the memory of its input and what runs it.

    TensorRT's objects are attributes only and never local variables, because the traceback of an
    error would keep those alive after `close`.

    Attributes:
        plan: the plan's file.
        tensors: what it takes and returns.
        output: shape of the output for one picture.
        output_bytes: size of the output for one picture.
    """

    def __init__(
        self, plan: Path, gpu: Gpu, picture: Shape, max_batch: int, *, start: int = 0
    ) -> None:
        """Load the plan that begins at an offset of `start` in a file.

        `gpu`'s context must be current here and in every method. `picture` is (channels, height,
        width) of the input; the caller has at most `max_batch` pictures.

        Raises:
            PlanRefusedError: TensorRT does not take it.
            EngineError: its input or output is not that of a pose network of that size, or there
                is not enough memory.
        """
        self.plan = plan
        self._gpu = gpu
        self._picture = picture
        self._runtime: Any = None
        self._engine: Any = None
        self._memories: list[Any] = []
        self._runs: OrderedDict[tuple[int, int], _Run] = OrderedDict()
        self._kept_runs = _KEPT_RUNS * max_batch
        try:
            self._load(plan.read_bytes()[start:])
            self.tensors = self._read_tensors(max_batch)
            self.output = self._output_shape()
            self.output_bytes = prod(self.output) * _BYTES[self.tensors.output_element]
            self._picture_bytes = prod(self._picture) * _BYTES[self.tensors.input_element]
            self._input = self._allocate(self.tensors.batch * self._picture_bytes)
        except BaseException:
            self.close()
            raise

    def picture_address(self, index: int) -> int:
        """Return the device address of a picture in the input."""
        return self._input + index * self._picture_bytes

    def enqueue(self, pictures: int, output: int, stream: Any) -> None:
        """Run the first `pictures` of the input on a pycuda stream.

        An engine of a fixed batch always runs all of it. `output` is the device address of room
        for as many outputs as it runs.

        Raises:
            EngineError: TensorRT refused the call.
        """
        key = pictures, output
        if key not in self._runs:
            if len(self._runs) == self._kept_runs:
                self._gpu.check("running the network")  # the one to close may be in use
                self._runs.popitem(last=False)[1].close()
            run = self._new_run(pictures)
            run.set_addresses(self.tensors, self._input, output)
            self._runs[key] = run
        self._runs.move_to_end(key)
        self._runs[key].enqueue(stream)

    def close(self) -> None:
        """Free everything, each of TensorRT's objects before the one that made it.

        The GPU must be done with it. Nothing on a lost GPU can be freed.
        """
        if self._gpu.lost:
            return
        for run in self._runs.values():
            run.close()
        self._runs.clear()
        for memory in self._memories:
            memory.free()
        self._memories.clear()
        self._engine = None
        self._runtime = None

    def _load(self, plan: bytes) -> None:
        LOGGER.take_reasons()
        self._runtime = new(trt.Runtime)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is not None:
            # Runs follow each other on one stream, so that one scratch memory serves them all.
            self._scratch_bytes = self._engine.device_memory_size_v2
            self._scratch = self._allocate(max(1, self._scratch_bytes))
            return
        reasons = LOGGER.take_reasons()
        self._gpu.check("loading the engine")
        if is_out_of_memory(reasons):
            raise no_memory(self._gpu, "load the engine", reasons)
        raise PlanRefusedError(f"{NAME} on {self._gpu.info} says: {reasons}")

    def _output_shape(self) -> Shape:
        """Return the shape of one picture's output, which only an execution context knows."""
        run = self._new_run(self.tensors.batch)
        try:
            shape = run.shape(self.tensors.output)
        finally:
            run.close()
        if min(shape) < 1:
            raise EngineError(
                f"the output '{self.tensors.output}' of the engine has the shape {shape}: expected "
                "sizes that do not depend on the picture, so export the model without NMS"
            )
        return shape[1:]

    def _new_run(self, pictures: int) -> _Run:
        """Return a run of a number of pictures, which has its scratch memory."""
        LOGGER.take_reasons()
        run = _Run(
            self._gpu,
            self._engine.create_execution_context(
                trt.ExecutionContextAllocationStrategy.USER_MANAGED
            ),
        )
        if not run.is_open:
            reasons = LOGGER.take_reasons()
            self._gpu.check("making an execution context")
            raise no_memory(self._gpu, "make an execution context", reasons)
        is_free = -1 in tuple(self._engine.get_tensor_shape(self.tensors.input))
        shape = (pictures, *self._picture) if is_free else None
        run.prepare(self._scratch, self._scratch_bytes, self.tensors.input, shape)
        return run

    def _allocate(self, size: int) -> int:
        with self._gpu.errors("allocating the network's memory"):
            self._memories.append(self._gpu.driver.mem_alloc(size))
        return int(self._memories[-1])

    def _read_tensors(self, max_batch: int) -> Tensors:
        source, target = self._names()
        batch, is_fixed = self._batch(source)
        return Tensors(
            source,
            target,
            self._element(source),
            self._element(target),
            batch if is_fixed else min(batch, max_batch),
            is_fixed,
        )

    def _names(self) -> tuple[str, str]:
        count = self._engine.num_io_tensors
        every = [self._engine.get_tensor_name(index) for index in range(count)]
        modes = {name: self._engine.get_tensor_mode(name) for name in every}
        inputs = [name for name in every if modes[name] == trt.TensorIOMode.INPUT]
        outputs = [name for name in every if name not in inputs]
        if len(inputs) == len(outputs) == 1:
            return inputs[0], outputs[0]
        raise EngineError(
            f"the engine has the inputs {inputs} and the outputs {outputs}: expected one each, as "
            "the engine of a pose model has"
        )

    def _element(self, name: str) -> str:
        known = {trt.DataType.FLOAT: "float32", trt.DataType.HALF: "float16"}
        dtype = self._engine.get_tensor_dtype(name)
        if dtype in known:
            return known[dtype]
        raise EngineError(
            f"tensor '{name}' of the engine holds {dtype}: expected float32 or float16, so build "
            "it again from the model"
        )

    def _batch(self, name: str) -> tuple[int, bool]:
        """Return how many pictures the input takes, and whether exactly that many."""
        declared: Shape = tuple(self._engine.get_tensor_shape(name))
        least = most = declared
        if -1 in declared:
            shapes = self._engine.get_tensor_profile_shape(name, 0)
            least, _, most = (tuple(shape) for shape in shapes)
        sides = zip(least[1:], self._picture, most[1:], strict=False)
        if len(most) == 4 and all(low <= side <= high for low, side, high in sides):
            return most[0], declared[0] != -1
        raise EngineError(
            f"input '{name}' of the engine takes shapes from {least} to {most}: expected pictures "
            f"of {self._picture}, so build it again for that size, or set imgsz to its own"
        )


class _Run:
    """A number of pictures at fixed addresses: an execution context of its own, and its CUDA graph.

    A graph belongs to the state of the context that it was captured from, so NVIDIA advises one
    context for each (TensorRT developer guide, "CUDA Graphs").
    """

    def __init__(self, gpu: Gpu, context: Any) -> None:
        self._gpu = gpu
        self._context = context
        self._graph: CudaGraph | None = None
        self._may_capture = CUDA_GRAPHS
        self._has_run = False

    @property
    def is_open(self) -> bool:
        """Whether TensorRT made a context."""
        return self._context is not None

    def prepare(self, scratch: int, size: int, name: str, shape: Shape | None) -> None:
        """Give it scratch memory, and its input a shape if that is free."""
        self._context.set_device_memory(scratch, size)
        if shape is not None:
            accepted = self._context.set_input_shape(name, shape)
            self._must(accepted, f"the input shape {shape}")

    def set_addresses(self, tensors: Tensors, source: int, target: int) -> None:
        """Set the addresses of the input and the output."""
        for name, address in ((tensors.input, source), (tensors.output, target)):
            accepted = self._context.set_tensor_address(name, address)
            self._must(accepted, f"the address {address:#x} of '{name}'")

    def shape(self, name: str) -> Shape:
        """Return a tensor's shape for this number of pictures."""
        return tuple(self._context.get_tensor_shape(name))

    def enqueue(self, stream: Any) -> None:
        """Put it on a stream.

        Raises:
            EngineError: TensorRT refused the call.
        """
        if self._has_run and self._may_capture:
            self._capture(stream.handle)
        if self._graph is not None:
            code = self._graph.launch(stream.handle)
            if code == OUT_OF_MEMORY:  # the first launch puts the graph on the GPU
                raise no_memory(self._gpu, "launch a CUDA graph", f"CUDA error {code}")
            if code:
                raise self._gpu.lose("launching a CUDA graph", f"CUDA error {code}")
            return
        accepted = self._context.execute_async_v3(stream.handle)
        if not accepted:
            reasons = LOGGER.take_reasons()
            self._gpu.check("running the network")
            raise EngineError(
                f"{NAME} refused to run the network on {self._gpu.info} ({reasons}): the next "
                "images may work; if not, remove the engine from the cache"
            )
        self._has_run = True

    def close(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None
        self._context = None

    def _capture(self, stream: int) -> None:
        """Try to make a graph; once only, and after the run that adapts a context to its shape."""
        self._may_capture = False
        self._graph = self._gpu.api.capture(
            stream, lambda: bool(self._context.execute_async_v3(stream))
        )
        if self._graph is None:
            _log.info(
                "the network runs without a CUDA graph, which was refused (%s)",
                LOGGER.take_reasons(),
            )

    def _must(self, accepted: bool, what: str) -> None:
        """Close and raise if TensorRT returned False, instead of going on with something else."""
        if not accepted:
            self.close()
            raise EngineError(f"{NAME} does not accept {what} ({LOGGER.take_reasons()})")


def no_memory(gpu: Gpu, doing: str, reasons: str) -> EngineError:
    """Return the error to raise where the GPU has too little memory."""
    return EngineError(f"{NAME} cannot {doing} on {gpu.info} ({reasons}): {SAVE_MEMORY}")
