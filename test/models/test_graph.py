# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from contextlib import nullcontext

import numpy as np
import pytest
from onnx import GraphProto, TensorProto, helper, numpy_helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import (
    GraphBuilder,
    infer_shapes,
    names_read,
    rename_value,
    sort_nodes,
)


def graph(*nodes):
    return GraphProto(node=[helper.make_node("Add", inputs, outputs) for inputs, outputs in nodes])


def order(graph):
    return [node.output[0] for node in graph.node]


def test_nodes_in_order_stay_where_they_are():
    sorted_graph = graph((["x"], ["b"]), (["x"], ["a"]), (["a", "b"], ["c"]))
    sort_nodes(sorted_graph, "model")
    assert order(sorted_graph) == ["b", "a", "c"]


def test_each_node_comes_after_those_that_it_reads_from():
    mixed = graph((["b", "a"], ["c"]), (["a"], ["b"]), (["x"], ["a"]))
    sort_nodes(mixed, "model")
    assert order(mixed) == ["a", "b", "c"]


def test_names_read_inside_a_subgraph_count():
    inner = graph((["late"], ["y"]))
    outer = graph((["x"], ["late"]))
    outer.node.insert(0, helper.make_node("If", ["x"], ["z"], then_branch=inner))
    assert set(names_read(outer.node)) == {"x", "late"}
    sort_nodes(outer, "model")
    assert order(outer) == ["late", "z"]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([(["a"], ["a"])], id="a node reads itself"),
        pytest.param([(["b"], ["a"]), (["a"], ["b"])], id="two wait for each other"),
    ],
)
def test_circles_are_refused(nodes):
    with pytest.raises(ModelError, match=r"graph of pose\.onnx has a cycle"):
        sort_nodes(graph(*nodes), "pose.onnx")


def test_every_name_is_new_in_the_graph():
    target = graph((["x"], ["kp/Add"]))
    builder = GraphBuilder(target)
    names = [builder.add("Add", ["x", builder.integers(1)], "kp") for _ in range(3)]
    names += builder.add_many("TopK", ["x", builder.number(0.5)], "kp", 2)
    names += [tensor.name for tensor in target.initializer]
    assert len({*names, "kp/Add"}) == len(names) + 1 == 8


def test_a_value_is_renamed_wherever_it_is_made_or_read():
    inner = graph((["rows"], ["y"]))
    outer = graph((["x"], ["rows"]), (["rows"], ["z"]))
    outer.node.append(helper.make_node("If", ["x"], ["w"], then_branch=inner))
    outer.output.add(name="rows")
    rename_value(outer, "rows", "raw")
    assert set(names_read(outer.node)) == {"x", "raw"}
    assert order(outer)[0] == outer.output[0].name == "raw"


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
    assert {tensor.name: len(tensor.raw_data) for tensor in graph.initializer} == {
        "weight": 0,
        "target": 24,
    }


BIG = np.float32(3e38)


@pytest.mark.parametrize("keep_weights", [True, False])
@pytest.mark.parametrize(
    ("values", "factors", "is_finite"),
    [
        pytest.param(np.ones((2, 3), np.float16), None, True, id="float16"),
        pytest.param(np.full((2, 3), np.nan, np.float16), None, False, id="no number"),
        pytest.param(np.full((2, 3), -np.inf, np.float16), None, False, id="endless"),
        pytest.param(np.full((2, 3), 65504, np.float16), np.ones(2), True, id="the largest"),
        pytest.param(np.array([[1], [np.nan]], np.float32), None, False, id="float32, no number"),
        pytest.param(np.array([[1], [BIG]], np.float32), np.array([9, 1]), True, id="barely"),
        pytest.param(np.array([[1], [BIG]], np.float32), np.array([1, 9]), False, id="too large"),
        pytest.param(np.ones((2, 1), np.float32), np.array([1, np.nan]), False, id="a factor"),
        pytest.param(np.full((2, 1), 1e300), None, False, id="float64"),
        pytest.param(np.ones((3, 2), np.float16).T, np.ones(2), True, id="columns first"),
        pytest.param(np.ones((0, 2), np.float16), None, True, id="none at all"),
    ],
)
def test_weights_are_finite_whether_they_are_kept_or_not(keep_weights, values, factors, is_finite):
    builder = GraphBuilder(GraphProto(), keep_weights=keep_weights)
    factors = None if factors is None else np.asarray(factors, np.float32)
    with nullcontext() if is_finite else pytest.raises(ModelError, match="not all finite"):
        builder.weight("w", values, factors)
