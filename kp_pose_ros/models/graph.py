# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs: adding nodes and constants, topological order, and shapes of tensors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference, version_converter

from kp_pose_ros.errors import ModelError

# Shapes and sizes that a graph computes with have a few numbers; weights have more.
_MAX_NUMBERS = 1024
_MAGNITUDE, _INFINITY = np.uint16(0x7FFF), np.uint16(0x7C00)  # bits of a float16
_LARGEST_FLOAT16 = 65504.0
DEFAULT_DOMAIN = ("", "ai.onnx")

Shape = tuple[int | None, ...]


class GraphBuilder:
    """Adds nodes and constants to a graph, under unique names.

    Args:
        graph: the graph to add to. It should already be part of its model, since protobuf copies
            the weights of a graph that is assigned to a model.
        keep_weights: False checks weights without adding them, for a graph that is never run.
    """

    def __init__(self, graph: onnx.GraphProto, *, keep_weights: bool = True) -> None:
        self._graph = graph
        self._keep_weights = keep_weights
        self._used = set(names_read(graph.node)) | {
            *(value.name for value in (*graph.input, *graph.output, *graph.initializer)),
            *(name for node in graph.node for name in (node.name, *node.output)),
        }
        self._counts: Counter[str] = Counter()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        path: str,
        *,
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node; return the name of its output: `output`, or else the node's own name."""
        name = self.new_name(f"{path}/{operator}")
        value = output or name
        self._graph.node.append(helper.make_node(operator, inputs, [value], name, **attributes))
        return value

    def add_many(
        self, operator: str, inputs: Sequence[str], path: str, outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs; return their names."""
        name = self.new_name(f"{path}/{operator}")
        names = [self.new_name(f"{name}:{place}") for place in range(outputs)]
        self._graph.node.append(helper.make_node(operator, inputs, names, name, **attributes))
        return names

    def weight(
        self, name: str, values: npt.NDArray[Any], factors: npt.NDArray[np.float32] | None = None
    ) -> str:
        """Add weights of any type as float32; return their name.

        `factors` are what each of `values[0]`, `values[1]`, ... is multiplied by.

        Raises:
            ModelError: some are not finite.
        """
        if not self._keep_weights and _are_surely_finite(values, factors):
            return self.new_name(name)
        with np.errstate(all="ignore"):
            weights = values.astype(np.float32)
            if factors is not None:
                weights *= factors.reshape(-1, *(1,) * (values.ndim - 1))
        if not np.isfinite(weights).all():
            raise ModelError(f"the weights {name} are not all finite numbers")
        name = self.new_name(name)
        if self._keep_weights:
            self._graph.initializer.append(numpy_helper.from_array(weights, name))
        return name

    def constant(self, values: npt.ArrayLike, name: str = "constant") -> str:
        """Return the name of a constant; equal constants are stored once."""
        array = np.asarray(values)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.new_name(name)
            tensor = numpy_helper.from_array(array, self._constants[key])
            self._graph.initializer.append(tensor)
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """Return the name of a constant list of int64."""
        return self.constant(np.array(values, np.int64), "sizes_" + "_".join(map(str, values)))

    def number(self, value: float) -> str:
        """Return the name of a constant float32 number."""
        return self.constant(np.float32(value), "number")

    def split(self, value: str, path: str, parts: Sequence[int], axis: int) -> list[str]:
        """Split a value along an axis into parts of these sizes."""
        inputs = [value, self.integers(*parts)]
        return self.add_many("Split", inputs, path, len(parts), axis=axis)

    def reshape(self, value: str, path: str, *shape: int) -> str:
        """Give a value another shape; 0 keeps the size that it has there."""
        return self.add("Reshape", [value, self.integers(*shape)], path)

    def to_float32(self, value: str, path: str) -> str:
        """Convert a value to float32."""
        return self.add("Cast", [value], path, to=TensorProto.FLOAT)

    def is_used(self, name: str) -> bool:
        """Return whether the name is taken in the graph."""
        return name in self._used

    def new_name(self, wish: str) -> str:
        """Return an unused name, and reserve it."""
        name = wish
        while name in self._used:
            self._counts[wish] += 1
            name = f"{wish}_{self._counts[wish] + 1}"
        self._used.add(name)
        return name


def _are_surely_finite(values: npt.NDArray[Any], factors: npt.NDArray[np.float32] | None) -> bool:
    """Return whether products are finite, at a sixth of the time that computing them takes."""
    if values.size == 0:
        return True
    if values.dtype == np.float16 and values.flags.c_contiguous:
        bits = values.view(np.uint16) & _MAGNITUDE
        largest = _LARGEST_FLOAT16 if bits.max() < _INFINITY else np.inf
    elif values.dtype == np.float32:
        largest = max(float(values.max()), -float(values.min()))
    else:
        return False
    largest_factor = 1.0 if factors is None else float(np.abs(factors).max(initial=0))
    return bool(largest * largest_factor <= np.finfo(np.float32).max)


def rename_value(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a value of a graph wherever it is made or read, subgraphs included."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for inner in subgraphs(node):
            rename_value(inner, old, new)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        if value.name == old:
            value.name = new


def sort_nodes(graph: onnx.GraphProto, source: object) -> None:
    """Put the nodes of a graph into an order in which each comes after those that it reads from.

    ONNX asks for that order, but float16 converters append their casts at the end.

    Raises:
        ModelError: the nodes form a cycle.
    """
    maker = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    reads = {
        place: {maker[name] for name in names_read([node]) if name in maker}
        for place, node in enumerate(graph.node)
    }
    if all(place > max(makers, default=-1) for place, makers in reads.items()):
        return
    try:
        nodes = [graph.node[place] for place in TopologicalSorter(reads).static_order()]
    except CycleError as error:
        raise ModelError(f"the graph of {source} has a cycle: export the model again") from error
    del graph.node[:]
    graph.node.extend(nodes)


def names_read(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Yield the names that nodes read, those inside their subgraphs included."""
    for node in nodes:
        yield from node.input
        for graph in subgraphs(node):
            yield from names_read(graph.node)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside a node, such as the branches of an If."""
    for attribute in node.attribute:
        yield from (attribute.g, *attribute.graphs)


def drop_unused_weights(graph: onnx.GraphProto) -> None:
    """Remove the weights that no node reads; old files list them as inputs, too."""
    used = {*names_read(graph.node), *(value.name for value in graph.output)}
    unused = {tensor.name for tensor in graph.initializer} - used
    for values in (graph.initializer, graph.input):
        kept = [value for value in values if value.name not in unused]
        del values[:]
        values.extend(kept)


def shape_of(value: onnx.ValueInfoProto) -> Shape:
    """Return a tensor's shape; None for a side that is not fixed."""
    sides = value.type.tensor_type.shape.dim
    return tuple(side.dim_value if side.dim_value > 0 else None for side in sides)


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model whose large weights have a type and a shape, but no numbers.

    Use it to inspect a graph without running it, since onnx copies the weights at every step.
    """
    light = onnx.ModelProto()
    light.CopyFrom(onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import))
    light.functions.extend(model.functions)
    light.metadata_props.extend(model.metadata_props)
    graph, original = light.graph, model.graph
    graph.name = original.name
    graph.node.extend(original.node)
    graph.input.extend(original.input)
    graph.output.extend(original.output)
    for tensor in original.initializer:
        if math.prod(tensor.dims) <= _MAX_NUMBERS:
            graph.initializer.append(tensor)
        else:
            graph.initializer.add(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    return light


def infer_shapes(model: onnx.ModelProto, *, strict: bool = False) -> onnx.GraphProto:
    """Return a graph whose inputs, outputs and `value_info` have each tensor's type and shape.

    Raises:
        shape_inference.InferenceError: `strict`, and shapes contradict each other.
    """
    light = without_weights(model)
    return shape_inference.infer_shapes(light, strict_mode=strict, data_prop=True).graph


def upgrade(model: onnx.ModelProto, opset: int) -> None:
    """Rewrite the nodes of a model in a later version of the ONNX operators.

    Raises:
        ValueError: onnx cannot rewrite some of them.
    """
    try:
        graph = version_converter.convert_version(model, opset).graph
    except Exception as error:  # onnx has no base class for its errors
        raise ValueError(" ".join(str(error).split())[:200]) from error
    model.graph.CopyFrom(graph)
    for entry in model.opset_import:
        if entry.domain in DEFAULT_DOMAIN:
            entry.version = opset


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the ONNX operators that a model uses; 0 if it uses none."""
    return max((o.version for o in model.opset_import if o.domain in DEFAULT_DOMAIN), default=0)
