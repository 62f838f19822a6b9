# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The selection head: the best columns of a raw output, as candidate rows, in ONNX operators."""

from __future__ import annotations

from onnx import TensorProto

from kp_pose_ros.models.nodes import Nodes

# A person yields about ten candidates, so that this holds a crowd of a hundred; and TensorRT's
# TopK stops at 3,840.
MAX_CANDIDATES = 1024

_ROWS_AXIS, _ANCHORS_AXIS = 1, 2


def append_selection(
    nodes: Nodes, raw: str, classes: int, points: int, anchors: int
) -> tuple[str, int]:
    """Append the operators that select the candidates of the highest class score.

    Only operators that ONNX Runtime and TensorRT from 8.5 on run, in a form that is valid from
    opset 11 on.

    Args:
        nodes: where to append.
        raw: the name of a float32 tensor (B, 4 + classes + points, anchors), as `Layout.RAW`.
        classes: the number of classes.
        points: K * D, the numbers of all keypoints.
        anchors: the number of columns.

    Returns:
        The name of a float32 tensor (B, N, 6 + points), as `Layout.CANDIDATES`, and N.
    """
    count = min(MAX_CANDIDATES, anchors)
    height = 4 + classes + points

    def cut(tensor: str, start: int, stop: int) -> str:
        bounds = (nodes.integers(start), nodes.integers(stop), nodes.integers(_ROWS_AXIS))
        return nodes.add("Slice", tensor, *bounds)

    # TopK with k = 1 rather than ReduceMax and ArgMax: one pass for both, and no operator whose
    # arguments changed between opsets.
    best_score, best_class = nodes.add_many(
        "TopK", (cut(raw, 4, 4 + classes), nodes.integers(1)), 2, axis=_ROWS_AXIS
    )
    score, chosen = nodes.add_many(
        "TopK", (best_score, nodes.integers(count)), 2, axis=_ANCHORS_AXIS
    )
    class_id = nodes.add("GatherElements", best_class, chosen, axis=_ANCHORS_AXIS)
    every_row = nodes.add("Expand", chosen, nodes.integers(1, height, 1))
    columns = nodes.add("GatherElements", raw, every_row, axis=_ANCHORS_AXIS)

    centre = cut(columns, 0, 2)
    half_size = nodes.add("Mul", cut(columns, 2, 4), nodes.number(0.5))
    parts = (
        nodes.add("Sub", centre, half_size),
        nodes.add("Add", centre, half_size),
        score,
        nodes.add("Cast", class_id, to=TensorProto.FLOAT),
        cut(columns, 4 + classes, height),
    )
    stacked = nodes.add("Concat", *parts, axis=_ROWS_AXIS)
    return nodes.add("Transpose", stacked, perm=(0, 2, 1)), count
