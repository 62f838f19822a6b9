# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of an ONNX graph: appending, ordering, and what they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from kp_pose_ros.errors import ModelError

PREFIX = "kp_pose/"


class Nodes:
    """Appends nodes and constants to a graph, under names that no other tool gives."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output and return the output's name."""
        return self.add_many(operator, inputs, 1, **attributes)[0]

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> list[str]:
        """Append a node with several outputs and return their names."""
        name = f"{PREFIX}{len(self._graph.node)}_{operator}"
        names = [f"{name}_{place}" for place in range(outputs)]
        self._graph.node.append(helper.make_node(operator, inputs, names, name=name, **attributes))
        return names

    def integers(self, *values: int) -> str:
        """Add a constant list of integers and return its name."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """Add a constant float32 number and return its name."""
        return self._constant(np.array(value, np.float32))

    def _constant(self, array: np.typing.NDArray[np.generic]) -> str:
        name = f"{PREFIX}constant_{len(self._graph.initializer)}"
        self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name


def sort_nodes(graph: onnx.GraphProto, source: object) -> None:
    """Put the nodes of a graph into an order in which each comes after those that it reads from.

    ONNX asks for that order, but float16 converters append their casts at the end.

    Raises:
        ModelError: nodes wait for each other.
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
        raise ModelError(
            f"the graph of {source} runs in a circle: export the model again"
        ) from error
    del graph.node[:]
    graph.node.extend(nodes)


def names_read(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    """Yield the names that nodes read, those inside their subgraphs included."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from names_read(graph.node)
