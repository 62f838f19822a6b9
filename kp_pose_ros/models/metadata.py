# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The metadata of a model file: one dataclass for .pt, .onnx and .engine files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.fields import Fields
from kp_pose_ros.models.graph import Shape
from kp_pose_ros.models.layouts import (
    GraphShape,
    Layout,
    Width,
    ambiguous,
    describe,
    find_layout,
    possible_layouts,
)

# Added to the keys of ultralytics: the layout of a graph that is already prepared.
LAYOUT_KEY = "kp_pose_layout"

_DEFAULT_SIZE = (640, 640)
_DEFAULT_STRIDE = 32
MAX_STRIDE = 1024
MAX_CLASSES = 10_000
# A model without any metadata (graph optimisers drop it) is assumed to be the most common one, with
# one class and 17 keypoints of x y score, if its shapes are those of that model and of no other.
_COCO_SHAPE, _COCO_NAMES = (17, 3), ("person",)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """The input and output of a pose model."""

    class_names: tuple[str, ...]  # by class id
    kpt_shape: tuple[int, int]  # (K, D): K keypoints of D = 2 (x y) or D = 3 (x y score) numbers
    keypoint_names: tuple[str, ...]  # the K names, or none if the file does not have them
    # (height, width) of the network's input in pixels: the one it takes if `size_is_static`, else
    # the one it was trained or exported for
    imgsz: tuple[int, int]
    stride: int  # height and width of the input are multiples of this
    channels: int  # 3 for colour (RGB), 1 for grey pictures
    layout: Layout  # of the output
    batch: int | None  # the only batch size it takes; None if it takes any
    size_is_static: bool  # whether `imgsz` is the only input size it takes

    @property
    def row_width(self) -> int:
        """The length of a candidate row: box, score, class and keypoints."""
        return 6 + self.kpt_shape[0] * self.kpt_shape[1]


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the user states about a model file whose metadata lacks it."""

    layout: Layout | None = None  # of the output
    keypoints: int | None = None  # how many the given skeleton has


NOTHING_ASSUMED = Assumed()


def read_metadata(
    values: Mapping[str, object],
    shape: GraphShape,
    source: object,
    assumed: Assumed = NOTHING_ASSUMED,
) -> ModelMetadata:
    """Return the input and output of a model, from its metadata and its shapes together.

    Args:
        values: the keys that ultralytics writes; old or foreign files lack some.
        shape: the graph's shapes as far as they are known; a fixed side overrides metadata.
        source: names the file in messages.
        assumed: what the user states about the output.

    Raises:
        ModelError: it is not a pose model, or a value is missing or contradicts another.
    """
    check_task(values, source)
    fields = Fields(values, source)
    fixed_size = _check_input(shape.input, source)
    names, kpt_shape, layout = _read_output(fields, shape, assumed, source)
    return ModelMetadata(
        class_names=names,
        kpt_shape=kpt_shape,
        keypoint_names=fields.keypoint_names(kpt_shape[0], len(names)),
        imgsz=fixed_size or fields.size("imgsz") or _DEFAULT_SIZE,
        stride=fields.whole_number("stride", MAX_STRIDE) or _DEFAULT_STRIDE,
        channels=shape.input[1] or 3,
        layout=layout,
        batch=shape.input[0],
        size_is_static=fixed_size is not None,
    )


def check_task(values: Mapping[str, object], source: object) -> None:
    """Check that a model is for poses, as far as its metadata says.

    Raises:
        ModelError: it is for another task.
    """
    task = Fields(values, source).text("task") or "pose"
    if task != "pose":
        raise ModelError(f"{source} is a model for the task {task[:40]!r}: expected one for 'pose'")


def generic_class_names(count: int) -> tuple[str, ...]:
    """Return names for classes that a file does not name."""
    return tuple(f"class {place}" for place in range(count))


def _check_input(shape: Shape, source: object) -> tuple[int, int] | None:
    """Return the input's height and width if they are fixed."""
    if len(shape) == 4 and shape[1] in (1, 3):
        height, width = shape[2:]
        if height is not None and width is not None:
            return height, width
        if height is width is None:
            return None
    raise ModelError(
        f"the input of {source} has the shape {describe(shape)}: expected batch x 3 x height x "
        "width (1 instead of 3 for grey pictures), with height and width both fixed or both free, "
        "so export the model again"
    )


def _read_output(
    fields: Fields, shape: GraphShape, assumed: Assumed, source: object
) -> tuple[tuple[str, ...], tuple[int, int], Layout]:
    """Return the names of the classes, (K, D) and the layout."""
    names, kpt_shape = fields.class_names(), fields.kpt_shape()
    stated = assumed.layout or _stated_layout(fields)
    if kpt_shape is None and names is None and stated is None:
        return _assume_coco(shape, source)
    if stated is not None:
        has_none = names is None and kpt_shape is None
        kpt_shape = kpt_shape or (assumed.keypoints or _COCO_SHAPE[0], _COCO_SHAPE[1])
        names = fit_output(names, kpt_shape, stated, shape.output, source)
        if has_none and (len(names), kpt_shape) == (len(_COCO_NAMES), _COCO_SHAPE):
            names = _COCO_NAMES
        return names, kpt_shape, stated
    if kpt_shape is None:
        raise _lacking("kpt_shape", shape.output, source)
    classes = len(names) if names else _count_classes(shape.output, kpt_shape)
    end2end, nms = fields.flag("end2end"), fields.argument("nms")
    is_silent = end2end is None and nms is None
    suppresses = None if is_silent else bool(end2end or nms is True)
    if shape.output[1:] == (None, None):  # as of an engine
        if names is None:
            raise _lacking("names", shape.output, source)
        return names, kpt_shape, Layout.ROWS if suppresses else Layout.RAW
    found = find_layout(shape, Width(classes, kpt_shape), suppresses, source)
    if names is None and found is not Layout.RAW:
        raise _lacking("names", shape.output, source)
    return names or generic_class_names(classes), kpt_shape, found


def _count_classes(output: Shape, kpt_shape: tuple[int, int]) -> int:
    """Return the number of classes of a raw output; 0 if it is ambiguous."""
    height, last = output[1:] if len(output) == 3 else (None, None)
    if last == Width(0, kpt_shape).of(Layout.ROWS):  # it may be rows as well
        return 0
    count = (height or 0) - Width(0, kpt_shape).of(Layout.RAW)
    return count if 0 < count <= MAX_CLASSES else 0


def _stated_layout(fields: Fields) -> Layout | None:
    """Return the layout that `prepare` stored in a graph."""
    text = fields.text(LAYOUT_KEY)
    return next((each for each in Layout if each.value == text), None)


def fit_output(
    names: tuple[str, ...] | None,
    kpt_shape: tuple[int, int],
    layout: Layout,
    output: Shape,
    source: object,
) -> tuple[str, ...]:
    """Return the class names of an output whose layout is known; `source` names the file.

    Raises:
        ModelError: the shape of the output does not fit.
    """
    width = layout.sides(output)[0] if len(output) == 3 else 0
    if width is None or layout is Layout.RTMO:
        return names or generic_class_names(1)
    rest = width - Width(0, kpt_shape).of(layout)
    if layout.has_class_scores:
        names = names or generic_class_names(min(max(rest, 0), MAX_CLASSES))
        rest -= len(names)
    if rest != 0 or not (names or not layout.has_class_scores):
        raise ModelError(
            f"the output of {source} has the shape {describe(output)}, which is not the layout "
            f"{layout.value} for kpt_shape {list(kpt_shape)} and a class count of "
            f"{len(names or ())}: set another layout, or a skeleton with as many keypoints as "
            "the model has"
        )
    return names or generic_class_names(1)


def _assume_coco(
    shape: GraphShape, source: object
) -> tuple[tuple[str, ...], tuple[int, int], Layout]:
    """Assume a model of people if there is no metadata and the shapes allow nothing else."""
    layouts = possible_layouts(shape, Width(1, _COCO_SHAPE))
    two_classes = possible_layouts(shape, Width(2, _COCO_SHAPE))  # as wide as rows or YOLOv7's one
    layouts += [each for each in two_classes if each in (Layout.TRANSPOSED, Layout.DEEPSTREAM)]
    fits = [each for each in layouts if each.sides(shape.output)[0] is not None]
    if len(fits) > 1:
        raise ambiguous(f"{source} has no metadata and an output of {describe(shape.output)}", fits)
    if not fits:
        raise _lacking("names and kpt_shape", shape.output, source)
    _log.warning(
        "%s has no metadata: assuming a COCO person model with the output layout %s, as its shapes "
        "suggest",
        source,
        fits[0].value,
    )
    return _COCO_NAMES, _COCO_SHAPE, fits[0]


def _lacking(missing: str, output: Shape, source: object) -> ModelError:
    return ModelError(
        f"the metadata of {source} lacks {missing}, and its output of shape {describe(output)} "
        "is ambiguous: export the model again with ultralytics, set its output with the "
        "parameter layout (--layout of kp_pose), or add the missing keys to the file as ONNX "
        'metadata_props (names such as "{0: \'person\'}", kpt_shape such as "[17, 3]")'
    )
