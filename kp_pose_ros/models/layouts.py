# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the output of a pose model looks like, and the ONNX nodes that make candidate rows of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import GraphBuilder

Shape = tuple[int | None, ...]


class Layout(enum.Enum):
    """The outputs of pose models, for nc classes and K keypoints of D numbers.

    RAW: (B, 4 + nc + K * D, A), one column an anchor: box centre and size, a score for each class,
        keypoints.
    CANDIDATES: (B, N, 6 + K * D), one row a candidate: box corners, score, class, keypoints. A
        person still has several; `prepare` makes these of a raw output.
    ROWS: the same rows, but every person once: the network ends with its own suppression (nms=True
        exports) or needs none (end-to-end YOLO26).
    """

    RAW = "raw"
    CANDIDATES = "candidates"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class GraphShape:
    """The shapes of a graph's input and output; None for a dimension that is not fixed."""

    input: Shape
    output: Shape


def find_layout(
    output: Shape, classes: int, kpt_shape: tuple[int, int], suppresses: bool, source: object
) -> Layout:
    """Return RAW or ROWS.

    Args:
        output: the shape of the graph's output.
        classes: the number of classes.
        kpt_shape: (K, D).
        suppresses: whether the metadata says that there is suppression inside. It decides only
            where the shape leaves both open.
        source: names the file in messages.

    Raises:
        ModelError: the shape is neither.
    """
    points = kpt_shape[0] * kpt_shape[1]
    raw_height, row_width = 4 + classes + points, 6 + points
    if len(output) == 3:
        may_be_raw, may_be_rows = output[1] in (None, raw_height), output[2] in (None, row_width)
        if may_be_rows and (suppresses or not may_be_raw):
            return Layout.ROWS
        if may_be_raw:
            return Layout.RAW
    raise ModelError(
        f"the output of {source} has the shape {describe(output)}: expected batch x {raw_height} x "
        f"anchors or batch x rows x {row_width} for {classes} classes and {kpt_shape[0]} keypoints "
        f"of {kpt_shape[1]} numbers, so export the model again"
    )


def describe(shape: Shape) -> str:
    """Return a shape for messages, such as `1 x 56 x ?`."""
    return " x ".join("?" if side is None else str(side) for side in shape) or "a single number"


# A person yields about ten candidates, so that this holds a crowd of a hundred; and TensorRT's
# TopK stops at 3,840.
MAX_CANDIDATES = 1024

_ROWS_AXIS, _ANCHORS_AXIS = 1, 2
_PATH = "kp_pose"


def append_selection(
    graph: GraphBuilder, raw: str, classes: int, points: int, anchors: int
) -> tuple[str, int]:
    """Append the operators that select the candidates of the highest class score.

    Only operators that ONNX Runtime and TensorRT from 8.5 on run, in a form that is valid from
    opset 11 on.

    Args:
        graph: where to append.
        raw: the name of a float32 tensor (B, 4 + classes + points, anchors), as `Layout.RAW`.
        classes: the number of classes.
        points: K * D, the numbers of all keypoints.
        anchors: the number of columns.

    Returns:
        The name of a float32 tensor (B, N, 6 + points), as `Layout.CANDIDATES`, and N.
    """
    count = min(MAX_CANDIDATES, anchors)
    height = 4 + classes + points

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        return graph.add(operator, inputs, _PATH, **attributes)

    def cut(tensor: str, start: int, stop: int) -> str:
        return add("Slice", tensor, *map(graph.integers, (start, stop, _ROWS_AXIS)))

    def best(tensor: str, number: int, axis: int) -> list[str]:
        return graph.add_many("TopK", (tensor, graph.integers(number)), _PATH, 2, axis=axis)

    # TopK with k = 1 rather than ReduceMax and ArgMax: one pass for both, and no operator whose
    # arguments changed between opsets.
    best_score, best_class = best(cut(raw, 4, 4 + classes), 1, _ROWS_AXIS)
    score, chosen = best(best_score, count, _ANCHORS_AXIS)
    class_id = add("GatherElements", best_class, chosen, axis=_ANCHORS_AXIS)
    every_row = add("Expand", chosen, graph.integers(1, height, 1))
    columns = add("GatherElements", raw, every_row, axis=_ANCHORS_AXIS)

    centre = cut(columns, 0, 2)
    half_size = add("Mul", cut(columns, 2, 4), graph.number(0.5))
    parts = (
        add("Sub", centre, half_size),
        add("Add", centre, half_size),
        score,
        graph.to_float32(class_id, _PATH),
        cut(columns, 4 + classes, height),
    )
    stacked = add("Concat", *parts, axis=_ROWS_AXIS)
    return add("Transpose", stacked, perm=(0, 2, 1)), count
