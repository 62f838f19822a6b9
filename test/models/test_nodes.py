# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from onnx import GraphProto, helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.nodes import Nodes, names_read, sort_nodes


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
    with pytest.raises(ModelError, match=r"graph of pose\.onnx runs in a circle"):
        sort_nodes(graph(*nodes), "pose.onnx")


def test_appended_names_are_all_different():
    target = GraphProto()
    nodes = Nodes(target)
    names = [nodes.add("Add", "x", nodes.integers(1)) for _ in range(3)]
    names += nodes.add_many("TopK", ("x", nodes.number(0.5)), 2)
    names += [tensor.name for tensor in target.initializer]
    assert len(set(names)) == len(names) == 9
