# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph while it is being written: every value is named after the layer that makes it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from kp_pose_ros.errors import ModelError

# Layers that only enlarge or only join need no weights, so that a small file can ask for any size.
_MAX_SIZE = 1 << 16


@dataclass(frozen=True)
class Feature:
    """A feature map: the name of its value in the graph, and its shape without the batch."""

    name: str
    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if max(self.shape) > _MAX_SIZE:
            raise ModelError(
                f"{self.name} makes a map of {self.shape}, larger than any that we know"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def cells(self) -> int:
        """How many cells the map has."""
        return self.height * self.width

    def renamed(self, name: str) -> "Feature":
        """Return a feature map of the same shape, made by another node."""
        return replace(self, name=name)


class GraphBuilder:
    """Adds nodes and constants to a graph.

    Args:
        graph: where they go; it is part of the model already, since protobuf would copy the weights
            of a graph that is put into one.
        half: whether weights and activations are float16 instead of float32.
    """

    def __init__(self, graph: onnx.GraphProto, *, half: bool) -> None:
        self.half = half
        self._graph = graph
        self._constants: set[str] = set()
        self._names: Counter[str] = Counter()

    def weight(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Add weights in the graph's own precision; return their name.

        Raises:
            ModelError: if the precision cannot hold them.
        """
        with np.errstate(over="ignore"):
            converted = values.astype(np.float16 if self.half else np.float32)
        if not np.isfinite(converted).all():
            precision = "float16 (float32 may do)" if self.half else "float32"
            raise ModelError(f"{name} has numbers that are not finite in {precision}")
        return self.constant(name, converted)

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        """Add a constant in the type it has, once a name; return its name."""
        if name not in self._constants:
            self._constants.add(name)
            self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        path: str,
        *,
        output: str | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node with one output; return its name, which is the node's own unless given."""
        name = self._node_name(path, operator)
        value = output or name
        self._graph.node.append(helper.make_node(operator, inputs, [value], name, **attributes))
        return value

    def split(self, value: str, path: str, parts: Sequence[int], axis: int) -> list[str]:
        """Cut a value along an axis into parts of these sizes."""
        name = self._node_name(path, "Split")
        values = [f"{name}:{index}" for index in range(len(parts))]
        inputs = [value, self._sizes(parts)]
        self._graph.node.append(helper.make_node("Split", inputs, values, name, axis=axis))
        return values

    def reshape(self, value: str, path: str, *shape: int) -> str:
        """Give a value another shape; 0 keeps the size that it has there."""
        return self.add("Reshape", [value, self._sizes(shape)], path)

    def cast(self, value: str, path: str, *, half: bool) -> str:
        """Convert a value to float16 or float32."""
        return self.add(
            "Cast", [value], path, to=TensorProto.FLOAT16 if half else TensorProto.FLOAT
        )

    def _node_name(self, path: str, operator: str) -> str:
        name = f"{path}/{operator}"
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"

    def _sizes(self, sizes: Sequence[int]) -> str:
        """Return a constant of int64 sizes, shared by all who need the same one."""
        return self.constant("sizes_" + "_".join(map(str, sizes)), np.array(sizes, np.int64))
