# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pose networks of other families: those that run, and advice for those that do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import ValueInfoProto

from kp_pose_ros.models.graph import shape_of

Values = Sequence[ValueInfoProto]

_ONE_PERSON = "which processes one person at a time, cropped by a detector"
_INSTEAD = "expected a model that finds all people in a picture, such as YOLO11-pose or RTMO"
_PUBLISHED = "use the ONNX file of RTMO that its authors publish"

# The packages whose classes a checkpoint names, and what to do with such a file.
CHECKPOINTS = {
    "models.": "it is a checkpoint of the YOLOv5 or YOLOv7 repository: export it to ONNX with the "
    "export.py of that repository (of YOLOv7 with --grid), and set the parameter layout to yolov7",
    "super_gradients.": f"it is a checkpoint of YOLO-NAS, which is not supported: {_INSTEAD}",
    "mmengine.": f"it is a checkpoint of MMPose: {_PUBLISHED}",
    "mmpose.": f"it is a checkpoint of MMPose: {_PUBLISHED}",
    "transformers.": f"it is a checkpoint of transformers, such as ViTPose: {_INSTEAD}",
}


def is_rtmo(outputs: Values) -> bool:
    """Return whether these are boxes (B, N, 5) and keypoints (B, N, K, 3), in any order."""
    shapes = sorted(map(shape_of, outputs), key=len)
    if [len(shape) for shape in shapes] != [3, 4]:
        return False
    boxes, keypoints = shapes
    named = {value.name for value in outputs} == {"dets", "keypoints"}
    last = (boxes[2], keypoints[3])
    return last == (5, 3) or (named and boxes[2] in (None, 5) and keypoints[3] in (None, 3))


def find_foreign_family(inputs: Values, outputs: Values) -> str | None:
    """Return what a graph is, if it belongs to a known family that is not supported."""
    return next((what for fits, what in _FOREIGN if fits(inputs, outputs)), None)


def _names(values: Values) -> str:
    return " ".join(value.name.lower() for value in values)


def _is_simcc(_inputs: Values, outputs: Values) -> bool:
    return "simcc" in _names(outputs)


def _is_yolo_nas(_inputs: Values, outputs: Values) -> bool:
    names = _names(outputs)
    return "flat_predictions" in names or ("pred_" in names and "joints" in names)


def _is_movenet(inputs: Values, outputs: Values) -> bool:
    is_channels_last = len(inputs) == 1 and shape_of(inputs[0])[3:] == (3,)
    ends = {shape_of(value)[-3:] for value in outputs if len(shape_of(value)) >= 3}
    return is_channels_last and bool(ends & {(1, 17, 3), (1, 6, 56)})


def _is_detr(inputs: Values, outputs: Values) -> bool:
    return "orig_target_sizes" in _names(inputs) or (
        {"labels", "keypoints"} <= {value.name for value in outputs}
    )


def _is_heatmap(inputs: Values, outputs: Values) -> bool:
    """Return whether the only output is maps of 1/2, 1/4 or 1/8 of the picture's size."""
    if len(inputs) != 1 or len(outputs) != 1:
        return False
    picture, maps = shape_of(inputs[0])[2:], shape_of(outputs[0])
    if len(maps) != 4 or len(picture) != 2 or None in (*picture, *maps[2:]):
        return False
    return any(tuple(side and side // part for side in picture) == maps[2:] for part in (2, 4, 8))


_FOREIGN: tuple[tuple[Callable[[Values, Values], bool], str], ...] = (
    (_is_simcc, f"RTMPose (SimCC), {_ONE_PERSON}: {_INSTEAD}"),
    (_is_yolo_nas, f"YOLO-NAS-pose, which is not supported: {_INSTEAD}"),
    (_is_movenet, f"MoveNet, which is not supported: {_INSTEAD}"),
    (_is_detr, f"DETRPose, which is not supported: {_INSTEAD}"),
    (_is_heatmap, f"ViTPose, HRNet or another network of heatmaps, {_ONE_PERSON}: {_INSTEAD}"),
)
