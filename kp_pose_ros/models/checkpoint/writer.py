# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the ONNX model of a checkpoint, as ultralytics' own export would, without torch."""

import logging

import onnx
from onnx import TensorProto, helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import Checkpoint
from kp_pose_ros.models.checkpoint.convolution import Feature
from kp_pose_ros.models.checkpoint.head import HEADS, pose_head
from kp_pose_ros.models.checkpoint.layers import emit
from kp_pose_ros.models.checkpoint.modules import Module
from kp_pose_ros.models.fields import Fields
from kp_pose_ros.models.graph import GraphBuilder
from kp_pose_ros.models.layouts import GraphShape
from kp_pose_ros.models.metadata import (
    MAX_CLASSES,
    MAX_STRIDE,
    ModelMetadata,
    check_task,
    generic_class_names,
    read_metadata,
)

# Old enough for every tool in use: ONNX Runtime 1.14 (2023) reads IR version 8.
_OPSET = 17
_IR_VERSION = 8

_MAX_CHANNELS = 64
_MAX_SOURCES = 16
_log = logging.getLogger(__name__)


def write_onnx(
    checkpoint: Checkpoint, *, imgsz: tuple[int, int], batch: int | None
) -> onnx.ModelProto:
    """Return the model's graph, `images` B x C x H x W -> `output0` B x (4 + nc + K*D) x A.

    Everything is float32: input (RGB or grey, 0..1) and output (box centre and size, class scores,
    keypoints, all in pixels of the input).

    Args:
        checkpoint: a pose model of ultralytics.
        imgsz: (height, width) of the input, multiples of the model's stride.
        batch: the number of pictures of a run; None: any.

    Raises:
        ModelError: if the model is not a pose model of ultralytics, or is inconsistent.
    """
    return _write(checkpoint, imgsz, batch, keep_weights=True)


def check_checkpoint(checkpoint: Checkpoint) -> ModelMetadata:
    """Return the input and output of a checkpoint's graph, if it can be written.

    Raises:
        ModelError: if `write_onnx` would raise it, or it is not a pose model.
    """
    check_task(checkpoint.metadata, checkpoint.path)
    channels = Fields(checkpoint.metadata, checkpoint.path).whole_number("channels", _MAX_CHANNELS)
    # The writer makes a graph of any size and batch.
    shape = GraphShape((None, channels or 3, None, None), (None, None, None))
    values = {**checkpoint.metadata, "end2end": False, "names": _class_names(checkpoint)}
    metadata = read_metadata(values, shape, checkpoint.path)
    size = [-(-side // metadata.stride) * metadata.stride for side in metadata.imgsz]
    _write(checkpoint, (size[0], size[1]), None, keep_weights=False)
    return metadata


def _write(
    checkpoint: Checkpoint, imgsz: tuple[int, int], batch: int | None, *, keep_weights: bool
) -> onnx.ModelProto:
    model = onnx.ModelProto(ir_version=_IR_VERSION, producer_name="kp_pose_ros")
    model.opset_import.append(helper.make_opsetid("", _OPSET))
    model.graph.name = checkpoint.path.stem
    graph = GraphBuilder(model.graph, keep_weights=keep_weights)
    try:
        kpt_shape, images = _check_head(checkpoint), _images(checkpoint, imgsz)
        features = _body(graph, checkpoint, images)
        shape = pose_head(graph, checkpoint.head, features, kpt_shape, network_hw=imgsz)
    except ModelError as error:
        raise ModelError(f"cannot write {checkpoint.path} as ONNX: {error}") from error
    first = "batch" if batch is None else batch
    model.graph.input.append(_value(images.name, first, *images.shape))
    model.graph.output.append(_value("output0", first, *shape))
    helper.set_model_props(model, _metadata(checkpoint, imgsz, batch))
    return model


def _check_head(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return the model's (K, D), if the writer supports its head."""
    head = checkpoint.head
    kpt_shape = Fields(checkpoint.metadata, "the checkpoint").kpt_shape()
    if kpt_shape is None:
        raise ModelError(f"its head {head.kind[:40]!r} has no keypoints, expected a pose model")
    if head.kind not in HEADS:
        raise ModelError(
            f"its head is a {head.kind[:40]!r}, expected one of {', '.join(HEADS)}: export the "
            "model to ONNX with ultralytics, and use that file"
        )
    return kpt_shape


def _class_names(checkpoint: Checkpoint) -> dict[int, str]:
    """Return a name for each class of the head: those of the file, if the number matches."""
    count = checkpoint.head.integer("nc")
    if not 1 <= count <= MAX_CLASSES:
        raise ModelError(f"{checkpoint.path} has {count} classes: expected 1 to {MAX_CLASSES}")
    names = Fields(checkpoint.metadata, checkpoint.path).class_names()
    if names is None or len(names) != count:
        if names is not None:
            _log.warning(
                "%s has %d classes, but %d names: the names are ignored",
                checkpoint.path,
                count,
                len(names),
            )
        names = generic_class_names(count)
    return dict(enumerate(names))


def _images(checkpoint: Checkpoint, imgsz: tuple[int, int]) -> Feature:
    """Return the graph's input, if the model accepts that size."""
    fields = Fields(checkpoint.metadata, "the checkpoint")
    stride = fields.whole_number("stride", MAX_STRIDE) or MAX_STRIDE
    if any(side < stride or side % stride for side in imgsz):
        raise ModelError(
            f"imgsz is {imgsz[0]}x{imgsz[1]}, expected multiples of its stride {stride}"
        )
    channels = fields.whole_number("channels", _MAX_CHANNELS) or 3
    return Feature("images", channels, *imgsz)


def _body(graph: GraphBuilder, checkpoint: Checkpoint, images: Feature) -> list[Feature]:
    """Add every layer before the head; return what the head reads."""
    made: list[Feature] = []
    for layer in checkpoint.layers[:-1]:
        made.append(emit(graph, layer, *_sources(layer, images, made)))
    return _sources(checkpoint.head, images, made)


def _sources(layer: Module, images: Feature, made: list[Feature]) -> list[Feature]:
    """Return the inputs of a layer: its attribute `f` has layer indices, -1 for the one before."""
    indices = layer.attributes.get("f")
    if not isinstance(indices, list):
        indices = [indices]
    if len(indices) > _MAX_SOURCES or not all(
        type(index) is int and -1 <= index < len(made) for index in indices
    ):
        raise ModelError(f"layer {layer.path} ({layer.kind}) reads layers that are not before it")
    return [made[index] if made else images for index in indices]


def _value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _metadata(checkpoint: Checkpoint, imgsz: tuple[int, int], batch: int | None) -> dict[str, str]:
    """Return the metadata that ultralytics writes with a graph, with values as `str` formats them.

    `dynamic` stays False for an open batch, because there it means open sides as well.
    """
    values = {
        **checkpoint.metadata,
        "names": _class_names(checkpoint),
        "end2end": False,  # true of the graph, whatever the checkpoint supports
        "author": "kp_pose_ros",
        "batch": batch or 1,
        "imgsz": list(imgsz),
        "args": {"batch": batch or 1, "dynamic": False, "nms": False, "opset": _OPSET},
    }
    return {key: str(value) for key, value in values.items()}
