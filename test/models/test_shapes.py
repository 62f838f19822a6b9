# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from kp_pose_ros.models.shapes import infer_shapes


def model(weights_are_inputs):
    """A convolution of many weights, and a reshape to a computed shape."""
    constants = {
        "weight": np.zeros((64, 3, 8, 8), np.float16),
        "target": np.array([0, 64, -1], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["features"], strides=[8, 8]),
        helper.make_node("Reshape", ["features", "target"], ["out"]),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT16, ("n", 3, 32, 48))]
    if weights_are_inputs:
        inputs += [
            helper.make_tensor_value_info("weight", TensorProto.FLOAT16, (64, 3, 8, 8)),
            helper.make_tensor_value_info("target", TensorProto.INT64, (3,)),
        ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT16, None)]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("weights_are_inputs", [False, True])
def test_types_and_shapes_follow_from_input_and_constants(weights_are_inputs):
    graph = infer_shapes(model(weights_are_inputs))
    out = graph.output[0].type.tensor_type
    assert out.elem_type == TensorProto.FLOAT16
    assert [side.dim_value or side.dim_param for side in out.shape.dim] == ["n", 64, 24]
    assert "features" in {value.name for value in graph.value_info}


def test_model_stays_as_it_is_and_its_weights_are_not_copied():
    original = model(weights_are_inputs=False)
    before = original.SerializeToString()
    graph = infer_shapes(original)
    assert original.SerializeToString() == before
    assert [tensor.name for tensor in graph.initializer] == ["target"]
