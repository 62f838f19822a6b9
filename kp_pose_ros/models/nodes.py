# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Appends operators to an ONNX graph, naming them so that they meet no name that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

PREFIX = "kp_pose/"


class Nodes:
    """Appends nodes and constants to a graph."""

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
