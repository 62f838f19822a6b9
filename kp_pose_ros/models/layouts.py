# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Output layouts of pose models, and the ONNX nodes that convert them to candidate rows."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import GraphBuilder, Shape


class Layout(enum.Enum):
    """The outputs of pose models, for nc classes and K keypoints of D numbers.

    RAW: (B, 4 + nc + K * D, A), one column per anchor: box centre and size, a score for each class,
        keypoints. What ultralytics exports.
    TRANSPOSED: (B, A, 4 + nc + K * D), the same with a row for each anchor.
    DEEPSTREAM: (B, A, 4 + nc + K * D), as TRANSPOSED, but with box corners (DeepStream-Yolo-Pose
        since October 2025; before, its exports were TRANSPOSED).
    YOLOV7: (B, A, 5 + nc + K * D), one row per anchor: box centre and size, the score of an object
        being there, a score for each class, keypoints (YOLOv5- and YOLOv7-pose).
    CANDIDATES: (B, N, 6 + K * D), one row per candidate: box corners, score, class, keypoints. A
        person still has several; `prepare` makes these of the layouts above.
    ROWS: the same rows, but one for each person: the network ends with its own NMS
        (nms=True exports) or needs none (end-to-end YOLO26).
    RTMO: two outputs, `dets` (B, N, 5), box corners and score, and `keypoints` (B, N, K, 3), one
        for each person. The input is BGR from 0 to 255.
    """

    RAW = "raw"
    TRANSPOSED = "transposed"
    DEEPSTREAM = "deepstream"
    YOLOV7 = "yolov7"
    CANDIDATES = "candidates"
    ROWS = "rows"
    RTMO = "rtmo"

    @property
    def needs_suppression(self) -> bool:
        """Whether one person may be in the output several times."""
        return self not in (Layout.ROWS, Layout.RTMO)

    @property
    def has_class_scores(self) -> bool:
        """Whether an anchor has a score for each class, rather than the best one's number."""
        return self in (Layout.RAW, Layout.TRANSPOSED, Layout.DEEPSTREAM, Layout.YOLOV7)

    def sides(self, output: Shape) -> tuple[int | None, int | None]:
        """Return the width of an anchor or row of an output (B, ..., ...), and their number."""
        _, second, third = output
        return (second, third) if self is Layout.RAW else (third, second)


# How many values an anchor or row has besides class scores and keypoints.
_NUMBERS = {
    Layout.RAW: 4,
    Layout.TRANSPOSED: 4,
    Layout.DEEPSTREAM: 4,
    Layout.YOLOV7: 5,
    Layout.CANDIDATES: 6,
    Layout.ROWS: 6,
    Layout.RTMO: 6,
}
_OF_ULTRALYTICS = (Layout.RAW, Layout.TRANSPOSED)
# What a user can set for a file that does not state its layout; auto: what the file states.
NAMED_LAYOUTS = ("auto", *(each.value for each in Layout if each is not Layout.RTMO))

# There are as many finished rows as people that a picture may show (300 by default), but thousands
# of anchors.
_MAX_ROWS = 1000
_STRIDES = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32, 64))
_ANCHORS_A_CELL = 3  # of YOLOv5 and YOLOv7


@dataclass(frozen=True, slots=True)
class GraphShape:
    """The shapes of a graph's input and output; None for a dimension that is not fixed."""

    input: Shape
    output: Shape


@dataclass(frozen=True, slots=True)
class Width:
    """The meaning of the values of an anchor or row."""

    classes: int
    kpt_shape: tuple[int, int]

    def of(self, layout: Layout) -> int:
        """Return the number of values of an anchor or row in a layout."""
        classes = self.classes if layout.has_class_scores else 0
        return _NUMBERS[layout] + classes + self.kpt_shape[0] * self.kpt_shape[1]


def possible_layouts(shape: GraphShape, width: Width) -> list[Layout]:
    """Return the layouts that a graph's shapes allow, most likely first; empty if none matches.

    A width alone proves nothing: with two classes raw anchors are as wide as finished rows, with
    one class as those of YOLOv7. So the number of anchors or rows counts, too, if it is known.
    """
    if len(shape.output) != 3:
        return []
    _, height, last = shape.output
    cells = _cell_counts(shape.input)
    anchors = {count * each for count in cells for each in (1, _ANCHORS_A_CELL)}
    found = []
    if height == width.of(Layout.RAW) or (height is None and last in cells):
        found.append(Layout.RAW)
    if last == width.of(Layout.TRANSPOSED) and _may_be(height, cells):
        found += [Layout.TRANSPOSED, Layout.DEEPSTREAM]
    if last == width.of(Layout.YOLOV7) and _may_be(height, anchors):
        found.append(Layout.YOLOV7)
    is_few = height is None or (height <= _MAX_ROWS and height not in anchors)
    if last == width.of(Layout.ROWS) and is_few:
        found.append(Layout.ROWS)
    if last in cells and Layout.RAW in found:
        return [Layout.RAW]
    return found


def find_layout(shape: GraphShape, width: Width, suppresses: bool | None, source: object) -> Layout:
    """Return the layout of a model with one output; `source` names the file in messages.

    `suppresses` is whether the metadata says that the graph includes NMS; None if it does not say.

    Raises:
        ModelError: no layout matches, or several do.
    """
    layouts = possible_layouts(shape, width)
    may_be_rows = shape.output[2:] in ((None,), (width.of(Layout.ROWS),))
    if suppresses and may_be_rows:
        return Layout.ROWS
    if suppresses is False:  # ultralytics writes this for raw outputs only
        layouts = [each for each in layouts if each in _OF_ULTRALYTICS] or layouts
    if len(layouts) == 1:
        return layouts[0]
    found = f"the output of {source} has the shape {describe(shape.output)}"
    if layouts:
        raise ambiguous(found, layouts)
    raise ModelError(
        f"{found}: expected batch x {width.of(Layout.RAW)} x anchors or batch x rows x "
        f"{width.of(Layout.ROWS)} for kpt_shape {list(width.kpt_shape)} and a class count of "
        f"{width.classes}, so export the model again"
    )


def ambiguous(found: str, layouts: Sequence[Layout]) -> ModelError:
    """Return the error for an ambiguous output; `found` is a sentence that describes it."""
    names = " or ".join(each.value for each in layouts)
    return ModelError(
        f"{found}, which may be {names}: set which one with the parameter layout (--layout of "
        "kp_pose), or export the model again with the metadata of ultralytics"
    )


def _cell_counts(shape: Shape) -> set[int]:
    """Return the possible numbers of cells for an input; none if its size is free."""
    if len(shape) != 4 or shape[2] is None or shape[3] is None:
        return set()
    height, width = shape[2], shape[3]
    return {sum((height // side) * (width // side) for side in sides) for sides in _STRIDES}


def _may_be(height: int | None, counts: set[int]) -> bool:
    """Return whether there may be that many anchors."""
    if height is None:
        return True
    return height in counts if counts else height > _MAX_ROWS


def describe(shape: Shape) -> str:
    """Return a shape for messages, such as `1 x 56 x ?`."""
    return " x ".join("?" if side is None else str(side) for side in shape) or "a single number"


# A person yields about ten candidates, so this is enough for a crowd of a hundred. TensorRT's TopK
# takes at most 3,840.
MAX_CANDIDATES = 1024

_ROWS_AXIS, _ANCHORS_AXIS = 1, 2
PATH = "kp_pose"  # what the names of our nodes begin with


def append_rows(
    graph: GraphBuilder,
    outputs: Sequence[str],
    layout: Layout,
    width: Width,
    anchors: int | None,
) -> tuple[str, int | None]:
    """Append the nodes that convert a model's outputs to candidate rows.

    They are operators that ONNX Runtime and TensorRT 10.3 and later run, in a form that is valid
    from opset 11 on. `outputs` are the names of the model's outputs, float32; `anchors` is the
    number of anchors or rows, if it is known.

    Returns:
        The name of a float32 tensor (B, N, 6 + K * D), as `Layout.CANDIDATES`, and N, if known.
    """
    classes, points = width.classes, width.kpt_shape[0] * width.kpt_shape[1]
    if layout is Layout.RTMO:
        return _pair_to_rows(graph, outputs, points, anchors)
    if not layout.has_class_scores:
        return outputs[0], anchors
    raw = outputs[0]
    if layout is not Layout.RAW:
        raw = graph.add("Transpose", [raw], PATH, perm=(0, 2, 1))
    if layout is Layout.YOLOV7:
        scores = _cut(graph, raw, 5, 5 + classes)
        scores = graph.add("Mul", [scores, _cut(graph, raw, 4, 5)], PATH)
        parts = [
            _cut(graph, raw, 0, 4),
            scores,
            _cut(graph, raw, 5 + classes, 5 + classes + points),
        ]
        raw = graph.add("Concat", parts, PATH, axis=_ROWS_AXIS)
    return _select(graph, raw, width, anchors, has_corners=layout is Layout.DEEPSTREAM)


def _select(
    graph: GraphBuilder, raw: str, width: Width, anchors: int | None, *, has_corners: bool
) -> tuple[str, int | None]:
    """Append the selection of the candidates with the highest class scores from a raw output.

    `has_corners` is whether boxes are corners already, rather than centre and size.
    """
    classes, height = width.classes, width.of(Layout.RAW)
    count = None if anchors is None else min(MAX_CANDIDATES, anchors)

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        return graph.add(operator, inputs, PATH, **attributes)

    def best(tensor: str, number: str, axis: int) -> list[str]:
        return graph.add_many("TopK", (tensor, number), PATH, 2, axis=axis)

    # TopK with k = 1 rather than ReduceMax and ArgMax: one pass for both, and no operator whose
    # arguments changed between opsets.
    best_score, best_class = best(_cut(graph, raw, 4, 4 + classes), graph.integers(1), _ROWS_AXIS)
    number = _count_in_graph(graph, raw) if count is None else graph.integers(count)
    score, chosen = best(best_score, number, _ANCHORS_AXIS)
    class_id = add("GatherElements", best_class, chosen, axis=_ANCHORS_AXIS)
    every_row = add("Expand", chosen, graph.integers(1, height, 1))
    columns = add("GatherElements", raw, every_row, axis=_ANCHORS_AXIS)

    if has_corners:
        box = [_cut(graph, columns, 0, 4)]
    else:
        centre = _cut(graph, columns, 0, 2)
        half_size = add("Mul", _cut(graph, columns, 2, 4), graph.number(0.5))
        box = [add("Sub", centre, half_size), add("Add", centre, half_size)]
    parts = (
        *box,
        score,
        graph.to_float32(class_id, PATH),
        _cut(graph, columns, 4 + classes, height),
    )
    stacked = add("Concat", *parts, axis=_ROWS_AXIS)
    return add("Transpose", stacked, perm=(0, 2, 1)), count


def _count_in_graph(graph: GraphBuilder, raw: str) -> str:
    """Return the number of candidates, computed by the graph when it runs."""
    anchors = graph.add("Shape", [raw], PATH)
    anchors = graph.add("Gather", [anchors, graph.integers(_ANCHORS_AXIS)], PATH, axis=0)
    anchors = graph.to_float32(anchors, PATH)  # before opset 12, Min does not take integers
    count = graph.add("Min", [anchors, graph.number(MAX_CANDIDATES)], PATH)
    return graph.add("Cast", [count], PATH, to=TensorProto.INT64)


def _pair_to_rows(
    graph: GraphBuilder, outputs: Sequence[str], points: int, count: int | None
) -> tuple[str, int | None]:
    """Append the conversion of boxes with scores (B, N, 5) and keypoints (B, N, K, 3) to rows."""
    boxes, keypoints = outputs
    # There is one class: a column of zeros.
    boxes = graph.add("Pad", [boxes, graph.integers(0, 0, 0, 0, 0, 1)], PATH)
    keypoints = graph.reshape(keypoints, PATH, 0, -1, points)
    rows = graph.add("Concat", [boxes, keypoints], PATH, axis=2)
    if count is None:  # as many as people; TensorRT needs a number
        rows = graph.add("Pad", [rows, graph.integers(0, 0, 0, 0, MAX_CANDIDATES, 0)], PATH)
        rows = _cut(graph, rows, 0, MAX_CANDIDATES)
    return rows, count or MAX_CANDIDATES


def _cut(graph: GraphBuilder, tensor: str, start: int, stop: int) -> str:
    """Append a slice of rows `start` to `stop` of a tensor (B, rows, ...)."""
    bounds = map(graph.integers, (start, stop, _ROWS_AXIS))
    return graph.add("Slice", [tensor, *bounds], PATH)
