# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a loaded engine takes and returns, checked to be a pose network's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kp_pose_ros.errors import EngineError
from kp_pose_ros.inference.tensorrt.bindings import trt

Shape = tuple[int, ...]

BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True, slots=True)
class Tensors:
    """The one input and the one output of an engine.

    Attributes:
        input: name of the input.
        output: name of the output.
        input_element: type of the input's numbers, float32 or float16.
        output_element: type of the output's numbers.
        batch: how many pictures it takes at most.
        has_fixed_batch: whether it takes no fewer.
    """

    input: str
    output: str
    input_element: str
    output_element: str
    batch: int
    has_fixed_batch: bool


def read_tensors(engine: trt.ICudaEngine, picture: Shape, max_batch: int) -> Tensors:
    """Return what `engine` takes for pictures of shape (3, height, width), up to `max_batch`.

    Raises:
        EngineError: it has other inputs and outputs, or cannot take such pictures.
    """
    source, target = _names(engine)
    batch, is_fixed = _batch(engine, source, picture)
    return Tensors(
        source,
        target,
        _element(engine, source),
        _element(engine, target),
        batch if is_fixed else min(batch, max_batch),
        is_fixed,
    )


def sides_of(dims: Any) -> Shape:
    """Return TensorRT's `Dims` as a tuple; -1 stands for a free side."""
    return tuple(dims)


def _names(engine: trt.ICudaEngine) -> tuple[str, str]:
    every = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    inputs = [name for name in every if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in every if name not in inputs]
    if len(inputs) == len(outputs) == 1:
        return inputs[0], outputs[0]
    raise EngineError(
        f"the engine has the inputs {inputs} and the outputs {outputs}: expected one each, as the "
        "engine of a pose model has"
    )


def _element(engine: trt.ICudaEngine, name: str) -> str:
    known = {trt.DataType.FLOAT: "float32", trt.DataType.HALF: "float16"}
    dtype = engine.get_tensor_dtype(name)
    if dtype in known:
        return known[dtype]
    raise EngineError(
        f"tensor '{name}' of the engine holds {dtype}: expected float32 or float16, so build it "
        "again from the model"
    )


def _batch(engine: trt.ICudaEngine, name: str, picture: Shape) -> tuple[int, bool]:
    """Return how many pictures the input takes, and whether exactly that many."""
    declared = sides_of(engine.get_tensor_shape(name))
    if -1 in declared:
        least, _, most = map(sides_of, engine.get_tensor_profile_shape(name, 0))
    else:
        least = most = declared
    sides = zip(least[1:], picture, most[1:], strict=False)
    if len(most) == 4 and all(low <= side <= high for low, side, high in sides):
        return most[0], declared[0] != -1
    raise EngineError(
        f"input '{name}' of the engine takes shapes from {least} to {most}: expected pictures of "
        f"{picture}, so build it again for that size, or set imgsz to its own"
    )
