# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a prepared ONNX graph with torch, in memory that the caller has allocated.

If torch has no GPU, the graph runs on the CPU, where the tests' fake driver has its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALF = torch.float16 if DEVICE == "cuda" else torch.float32  # torch's CPU is slow with float16
# Inputs such as shapes, which the host reads, so that nothing waits for the GPU.
SETTINGS = {
    *(("Reshape", 1), ("Split", 1), ("TopK", 1), ("Expand", 1), ("Pad", 1)),
    *(("Slice", place) for place in (1, 2, 3, 4)),
    *(("Resize", place) for place in (1, 2, 3)),
}
# By default, torch rounds the inputs of float32 convolutions to TensorFloat-32.
torch.backends.cudnn.allow_tf32 = False
Attributes = dict[str, Any]
Operator = Callable[..., Any]


class _Memory:
    """GPU memory that torch did not allocate, in the form that it accepts."""

    def __init__(self, address: int, shape: tuple[int, ...], dtype: type) -> None:
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": np.dtype(dtype).str,
            "data": (address, False),
        }


def tensor_at(address: int, shape: tuple[int, ...], dtype: type) -> torch.Tensor:
    """Return the memory at an address as a tensor, without a copy."""
    if DEVICE == "cuda":
        return torch.as_tensor(_Memory(address, shape, dtype), device=DEVICE)
    from fakes.machine import array_at

    return torch.from_numpy(array_at(address, shape, dtype))


@contextmanager
def on_stream(handle: int) -> Iterator[None]:
    """Put torch's work on the stream with a handle."""
    with torch.inference_mode():
        if DEVICE == "cpu":
            yield
        else:
            with torch.cuda.stream(torch.cuda.ExternalStream(handle)):
                yield


class TorchGraph:
    """A graph of one input and one output, whose nodes run one after the other."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        (self._input,) = (value.name for value in graph.input)
        (self._output,) = (value.name for value in graph.output)
        self._nodes = list(graph.node)
        self._attributes = [
            {each.name: helper.get_attribute_value(each) for each in node.attribute}
            for node in graph.node
        ]
        self._settings = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._constants: dict[str, torch.Tensor] = {}

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the output for an input."""
        values = {self._input: pictures}
        for node, attributes in zip(self._nodes, self._attributes, strict=True):
            inputs = [self._read(node, place, values) for place in range(len(node.input))]
            outputs = OPERATORS[node.op_type](attributes, *inputs)
            if not isinstance(outputs, tuple):
                outputs = (outputs,)
            values.update(zip(node.output, outputs, strict=True))
        return values[self._output]

    def _read(self, node: onnx.NodeProto, place: int, values: dict[str, torch.Tensor]) -> Any:
        name = node.input[place]
        if not name:
            return None
        if name in values:
            return values[name]
        if (node.op_type, place) in SETTINGS:
            return self._settings[name].tolist()
        if name not in self._constants:
            constant = torch.from_numpy(self._settings[name].copy()).to(DEVICE)
            is_half = constant.dtype is torch.float16
            self._constants[name] = constant.to(HALF) if is_half else constant
        return self._constants[name]


def _plain(function: Operator) -> Operator:
    return lambda attributes, *inputs: function(*inputs)


def _conv(attributes: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    x = functional.pad(x, (left, right, top, bottom))
    more = {"dilation": attributes.get("dilations", 1), "groups": attributes.get("group", 1)}
    return functional.conv2d(x, weight, bias, attributes.get("strides", 1), **more)


def _max_pool(attributes: Attributes, x: Any) -> Any:
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    x = functional.pad(x, (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(x, attributes["kernel_shape"], attributes.get("strides", 1))


def _resize(attributes: Attributes, x: Any, _: Any, scales: Any, sizes: Any = None) -> Any:
    if attributes.get("mode") not in (None, b"nearest"):
        raise NotImplementedError(f"Resize with mode {attributes['mode']}")
    size = (
        sizes[2:] if sizes else [round(n * s) for n, s in zip(x.shape[2:], scales[2:], strict=True)]
    )
    return functional.interpolate(x, size)


def _reshape(attributes: Attributes, x: Any, shape: list[int]) -> Any:
    return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)])


def _slice(attributes: Attributes, x: Any, starts: Any, stops: Any, *more: Any) -> Any:
    axes, steps = (*more, None, None)[:2]
    for place, axis in enumerate(axes or range(len(starts))):
        step = steps[place] if steps else 1
        cuts = [slice(None)] * x.ndim
        cuts[axis] = slice(starts[place], stops[place], step)
        x = x[tuple(cuts)]
    return x


def _split(attributes: Attributes, x: Any, sizes: Any) -> Any:
    return torch.split(x, sizes, attributes.get("axis", 0))


def _top_k(attributes: Attributes, x: Any, count: list[int]) -> Any:
    return tuple(torch.topk(x, count[0], attributes.get("axis", -1)))


def _expand(attributes: Attributes, x: Any, shape: list[int]) -> Any:
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(shape)))


def _along(scale: Any, x: Any, attributes: Attributes) -> Any:
    """Return a scale that is multiplied with `x` along its axis."""
    if scale.ndim == 0:
        return scale
    shape = [1] * x.ndim
    shape[attributes.get("axis", 1)] = -1
    return scale.reshape(shape)


def _quantize(attributes: Attributes, x: Any, scale: Any, zero: Any) -> Any:
    return torch.round(x / _along(scale, x, attributes)).clamp(-128, 127).to(torch.int8)


def _dequantize(attributes: Attributes, x: Any, scale: Any, zero: Any) -> Any:
    return x.to(scale.dtype) * _along(scale, x, attributes)


TYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: HALF,
    onnx.TensorProto.INT64: torch.int64,
}
OPERATORS: dict[str, Operator] = {
    "Add": _plain(torch.add),
    "Cast": lambda attributes, x: x.to(TYPES[attributes["to"]]),
    "Concat": lambda attributes, *inputs: torch.cat(inputs, attributes["axis"]),
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": _plain(torch.div),
    "Expand": _expand,
    "GatherElements": lambda attributes, x, i: torch.gather(x, attributes.get("axis", 0), i),
    "Identity": _plain(lambda x: x),
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "QuantizeLinear": _quantize,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda attributes, x: torch.softmax(x, attributes.get("axis", -1)),
    "Split": _split,
    "Sub": _plain(torch.sub),
    "TopK": _top_k,
    "Transpose": lambda attributes, x: x.permute(attributes["perm"]),
}
