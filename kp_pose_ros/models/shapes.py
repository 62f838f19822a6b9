# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Types and shapes of what is inside an ONNX graph."""

from __future__ import annotations

import math

import onnx
from onnx import helper, shape_inference

# Shapes and sizes that a graph computes with have a few numbers; weights have more.
_MAX_NUMBERS = 1024


def infer_shapes(model: onnx.ModelProto) -> onnx.GraphProto:
    """Return a graph whose inputs, outputs and `value_info` tell each tensor's type and shape.

    The weights are left out, because onnx would copy them four times: they become inputs.
    """
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    light.functions.extend(model.functions)
    graph = light.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    listed = {value.name for value in graph.input}  # files before IR version 4 list weights, too
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _MAX_NUMBERS:
            graph.initializer.append(tensor)
        elif tensor.name not in listed:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            graph.input.append(value)
    return shape_inference.infer_shapes(light, data_prop=True).graph
