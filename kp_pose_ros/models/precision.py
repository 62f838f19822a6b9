# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Converts a float32 graph to a strongly typed float16 one, as TensorRT 10 and later need it.

Weights and activations become float16 up to the last learned convolutions. What follows, the
decoding of boxes and keypoints to pixels, stays float32: from 512 on, a float16 has steps of half a
pixel. So do the shapes that a graph computes, and its input and output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import (
    DEFAULT_DOMAIN,
    drop_unused_weights,
    infer_shapes,
    names_read,
    sort_nodes,
)

Precision = Literal["fp32", "fp16"]

_LEARNED = {"Conv", "ConvTranspose", "Gemm"}
_QUANTIZED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"),
}
# Their output is integers: whatever the type of the input, it says nothing about the picture.
_MEASURES = {"Shape", "Size"}
# Inputs that are float32 by the operators' definition.
_ALWAYS_FLOAT32 = {("Resize", 1), ("Resize", 2), ("Upsample", 1)}
# They only move data, which costs half as much in float16.
_MOVERS = {"Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"}
_SUBGRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
_SUFFIX = "_float16"


def to_half(model: onnx.ModelProto, source: object = "the model") -> None:
    """Convert weights and activations of a graph to float16; input and output keep their types.

    Args:
        model: the model, with its weights inside; changed in place. Parts that are float16 already
            stay as they are.
        source: names the model in messages.

    Raises:
        ModelError: the model is quantized, its nodes form a cycle, or a weight exceeds the range of
            float16.
    """
    sort_nodes(model.graph, source)
    _store_weights(model.graph)
    if any(node.op_type in _QUANTIZED for node in model.graph.node):
        raise ModelError(
            f"{source} is already quantized: expected a float32 model to convert, or set the "
            "precision to fp32 to run it as it is"
        )
    _Halver(model, source).run()


def _store_weights(graph: onnx.GraphProto) -> None:
    """Store weights that come from Constant nodes as most exporters do."""
    weights = {node.input[1] for node in graph.node if node.op_type in _LEARNED}
    kept = []
    for node in graph.node:
        values = [each.t for each in node.attribute if each.name == "value"]
        if node.op_type == "Constant" and values and node.output[0] in weights:
            graph.initializer.append(values[0])
            graph.initializer[-1].name = node.output[0]
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


class _Halver:
    """One conversion: the tensors with a float16 copy so far, and the nodes of the new graph."""

    def __init__(self, model: onnx.ModelProto, source: object) -> None:
        self._model = model
        self._source = source
        self._floats = _float_tensors(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._twins: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def run(self) -> None:
        graph = self._model.graph
        network = _network_nodes(graph, self._weights, self._floats)
        needed = _names_needed_in_float32(graph, network)
        for place, node in enumerate(graph.node):
            if place in network:
                self._append_half(node, needed)
                continue
            if node.op_type in _MEASURES:
                node.input[0] = self._twins.get(node.input[0], node.input[0])
            self._nodes.append(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        del graph.value_info[:]
        drop_unused_weights(graph)

    def _append_half(self, node: onnx.NodeProto, needed: set[str]) -> None:
        if node.domain not in DEFAULT_DOMAIN:
            raise ModelError(
                f"{self._source} has the operator {node.op_type} of {node.domain} inside its "
                "network, which cannot be made float16: give the model as it was before a tool "
                "optimised it for one runtime, or set the precision to fp32"
            )
        if any(attribute.type in _SUBGRAPHS for attribute in node.attribute):
            raise ModelError(
                f"{self._source} has the operator {node.op_type} inside its network, which cannot "
                "be converted to float16: export the model as float16, or set the precision to fp32"
            )
        half = onnx.NodeProto()
        half.CopyFrom(node)
        for place, name in enumerate(node.input):
            if name in self._floats and (node.op_type, place) not in _ALWAYS_FLOAT32:
                half.input[place] = self._twin(name)
        if node.op_type == "Cast" and node.output[0] in self._floats:
            del half.attribute[:]
            half.attribute.append(helper.make_attribute("to", TensorProto.FLOAT16))
        self._nodes.append(half)
        for place, name in enumerate(node.output):
            if name in self._floats:
                half.output[place] = self._twins[name] = f"{name}{_SUFFIX}"
                if name in needed:
                    self._append_cast(self._twins[name], name, TensorProto.FLOAT)

    def _twin(self, name: str) -> str:
        """Return the name of the float16 copy of a tensor, which is made on first use."""
        if name not in self._twins:
            self._twins[name] = f"{name}{_SUFFIX}"
            if name in self._weights:
                self._halve_weight(name)
            else:
                self._append_cast(name, self._twins[name], TensorProto.FLOAT16)
        return self._twins[name]

    def _halve_weight(self, name: str) -> None:
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(self._weights[name])
            half = values.astype(np.float16)
        if not np.array_equal(np.isfinite(half), np.isfinite(values)):
            raise ModelError(
                f"the weight {name} of {self._source} has values of up to {np.abs(values).max()}: "
                "expected at most 65504, the largest float16, so set the precision to fp32"
            )
        self._model.graph.initializer.append(numpy_helper.from_array(half, self._twins[name]))

    def _append_cast(self, source: str, target: str, to: int) -> None:
        self._nodes.append(
            helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=to)
        )


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    graph = infer_shapes(model)
    values = (*graph.input, *graph.output, *graph.value_info)
    return {
        value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT
    } | {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _network_nodes(
    graph: onnx.GraphProto, weights: Mapping[str, onnx.TensorProto], floats: set[str]
) -> set[int]:
    """Return the indices of the nodes from the picture to the last learned convolutions.

    These include nodes that only move the results of those convolutions.
    """
    from_picture = {value.name for value in graph.input if value.name not in weights}
    candidates = []
    for place, node in enumerate(graph.node):
        if node.op_type not in _MEASURES and from_picture.intersection(node.input):
            candidates.append(place)
            from_picture.update(node.output)
    network: set[int] = set()
    to_learned: set[str] = set()
    for place in reversed(candidates):
        node = graph.node[place]
        if _is_learned(node, weights) or to_learned.intersection(node.output):
            network.add(place)
            to_learned.update(node.input)
    made = {name for place in network for name in graph.node[place].output}
    for place in candidates:
        node = graph.node[place]
        if node.op_type in _MOVERS and floats.intersection(node.input) <= made:
            network.add(place)
            made.update(node.output)
    return network


def _is_learned(node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]) -> bool:
    """Return whether weights are learned, rather than 0, 1, 2, ... that average distances (DFL)."""
    if node.op_type not in _LEARNED:
        return False
    tensor = weights.get(node.input[1])
    if tensor is None or tensor.dims[0] != 1:
        return True
    values = numpy_helper.to_array(tensor).ravel()
    return not np.array_equal(values, np.arange(values.size))


def _names_needed_in_float32(graph: onnx.GraphProto, network: set[int]) -> set[str]:
    """Return the names that the outputs, and what is not converted, read."""
    others = (
        node
        for place, node in enumerate(graph.node)
        if place not in network and node.op_type not in _MEASURES
    )
    fixed = {
        name
        for node in graph.node
        for place, name in enumerate(node.input)
        if (node.op_type, place) in _ALWAYS_FLOAT32
    }
    return {value.name for value in graph.output}.union(names_read(others), fixed)
