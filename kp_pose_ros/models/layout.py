# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the output of a pose model looks like, told from its shape and its metadata together."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kp_pose_ros.errors import ModelError

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
