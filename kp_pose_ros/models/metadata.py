# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a model file says about itself: one dataclass for .pt, .onnx and .engine files alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.fields import Fields
from kp_pose_ros.models.layouts import GraphShape, Layout, Shape, describe, find_layout

# Added to the keys that ultralytics writes: the layout of a graph that was prepared already.
LAYOUT_KEY = "kp_pose_layout"

_DEFAULT_SIZE = (640, 640)
_DEFAULT_STRIDE = 32
_MAX_STRIDE = 1024
# A model without any metadata (graph optimisers drop it) is taken for the one that most people
# hold, one class and 17 keypoints of x y score, if its output has that model's size.
_COCO = (("person",), (17, 3))
_COCO_RAW_HEIGHT, _COCO_ROW_WIDTH = 4 + 1 + 51, 6 + 51

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a pose model takes and returns.

    Attributes:
        task: always "pose".
        class_names: the names of the classes, by class id.
        kpt_shape: (K, D): K keypoints of D = 2 (x y) or D = 3 (x y score) numbers.
        keypoint_names: the K names, or none if the file does not tell them.
        imgsz: (height, width) of the network's input in pixels: the one it takes if
            `size_is_static`, else the one it was trained or exported for.
        stride: height and width of the input are multiples of this.
        layout: what the model's output looks like.
        batch: the only batch size it takes; None if it takes any.
        size_is_static: whether `imgsz` is the only input size it takes.
    """

    task: str
    class_names: tuple[str, ...]
    kpt_shape: tuple[int, int]
    keypoint_names: tuple[str, ...]
    imgsz: tuple[int, int]
    stride: int
    layout: Layout
    batch: int | None
    size_is_static: bool

    @property
    def needs_suppression(self) -> bool:
        """Whether a person may come out several times, so that decoding must suppress."""
        return self.layout is not Layout.ROWS

    @property
    def row_width(self) -> int:
        """The length of a candidate row: box, score, class and keypoints."""
        return 6 + self.kpt_shape[0] * self.kpt_shape[1]


def read_metadata(values: Mapping[str, object], shape: GraphShape, source: object) -> ModelMetadata:
    """Return what a model takes and returns, from its metadata and its shapes together.

    Args:
        values: the keys that ultralytics writes; old or foreign files lack some.
        shape: the graph's shapes as far as they are known; a fixed side counts more than metadata.
        source: names the file in messages.

    Raises:
        ModelError: it is not a pose model, or a value is missing or contradicts another.
    """
    fields = Fields(values, source)
    task = fields.text("task") or "pose"
    if task != "pose":
        raise ModelError(f"{source} is a model for the task {task[:40]!r}: expected one for 'pose'")
    fixed_size = _check_input(shape.input, source)
    names, kpt_shape = _classes_and_keypoints(fields, shape.output, source)
    suppresses = fields.flag("end2end") or fields.argument("nms") is True
    layout = find_layout(shape.output, len(names), kpt_shape, suppresses, source)
    if layout is Layout.ROWS and fields.text(LAYOUT_KEY) == Layout.CANDIDATES.value:
        layout = Layout.CANDIDATES
    return ModelMetadata(
        task=task,
        class_names=names,
        kpt_shape=kpt_shape,
        keypoint_names=fields.keypoint_names(kpt_shape[0]),
        imgsz=fixed_size or fields.size("imgsz") or _DEFAULT_SIZE,
        stride=fields.whole_number("stride", _MAX_STRIDE) or _DEFAULT_STRIDE,
        layout=layout,
        batch=shape.input[0],
        size_is_static=fixed_size is not None,
    )


def _check_input(shape: Shape, source: object) -> tuple[int, int] | None:
    """Return the input's height and width if they are fixed."""
    if len(shape) == 4 and shape[1] == 3:
        height, width = shape[2:]
        if height is not None and width is not None:
            return height, width
        if height is width is None:
            return None
    raise ModelError(
        f"the input of {source} has the shape {describe(shape)}: expected batch x 3 x height x "
        "width, with height and width both fixed or both free, so export the model again"
    )


def _classes_and_keypoints(
    fields: Fields, output: Shape, source: object
) -> tuple[tuple[str, ...], tuple[int, int]]:
    names, kpt_shape = fields.class_names(), fields.kpt_shape()
    if names and kpt_shape:
        return names, kpt_shape
    if (
        names is None
        and kpt_shape is None
        and (output[1:2] == (_COCO_RAW_HEIGHT,) or output[2:3] == (_COCO_ROW_WIDTH,))
    ):
        _log.warning("%s has no metadata: taken for a COCO person model by its shape", source)
        return _COCO
    missing = " and ".join(
        key for key, value in {"names": names, "kpt_shape": kpt_shape}.items() if not value
    )
    raise ModelError(
        f"the metadata of {source} lacks {missing}, and its output of shape {describe(output)} "
        "does not tell: export the model again with ultralytics, or add the missing keys to the "
        "file as ONNX metadata_props (names such as \"{0: 'person'}\", kpt_shape such as "
        '"[17, 3]")'
    )
