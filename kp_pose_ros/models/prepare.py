# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prepares a graph for every engine: one input size, float32 in and out, candidate rows as output.

The raw output of a pose network is dense: 8,400 columns at 640 x 640, of which a picture needs a
few hundred. Selecting in the graph itself spares an engine the copy and the CPU the walk.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import GraphBuilder, infer_shapes
from kp_pose_ros.models.layouts import Layout, append_selection
from kp_pose_ros.models.metadata import LAYOUT_KEY, ModelMetadata
from kp_pose_ros.models.onnx_file import graph_inputs, graph_metadata

OUTPUT = "rows"

_MIN_OPSET = 11  # the first with TopK and GatherElements as the selection uses them
_MIN_IR = 4  # before it, every constant had to be an input of the graph, too
_DEFAULT_DOMAIN = ("", "ai.onnx")


def prepare(
    model: onnx.ModelProto,
    network: tuple[int, int],
    *,
    batch: int | None = None,
    source: object = "the model",
) -> None:
    """Turn a pose model of any layout into the graph that engines run.

    Afterwards it has a float32 input (B, 3, H, W), RGB in [0, 1], and one float32 output `rows`,
    (B, N, 6 + K * D): x1 y1 x2 y2 score class keypoints, in network pixels. For a raw model N is
    `MAX_CANDIDATES`, or the number of anchors if that is less, and the rows are sorted, best score
    first. A model that gives rows by itself keeps their number and order.

    Args:
        model: the model, with its weights inside; changed in place, because it may be large.
        network: (height, width) of the input, in pixels.
        batch: the only batch size that the graph shall take; None keeps what the model takes.
        source: names the model in messages.

    Raises:
        ModelError: it is not a pose model, cannot take `network` or `batch`, or its operators are
            too old.
    """
    metadata = graph_metadata(model, source)
    _check_opset(model, source)
    _fix_input(model, metadata, network, batch, source)
    _take_float32(model)
    _give_rows(model, metadata, source)
    values = {entry.key: entry.value for entry in model.metadata_props}
    values["imgsz"] = str(list(network))
    if metadata.layout is Layout.RAW:
        values[LAYOUT_KEY] = Layout.CANDIDATES.value
    helper.set_model_props(model, values)
    model.ir_version = max(model.ir_version, _MIN_IR)


def _check_opset(model: onnx.ModelProto, source: object) -> None:
    found = max((o.version for o in model.opset_import if o.domain in _DEFAULT_DOMAIN), default=0)
    if found < _MIN_OPSET:
        raise ModelError(
            f"{source} uses version {found} of the ONNX operators: expected {_MIN_OPSET} or "
            "later, so export the model again"
        )


def _fix_input(
    model: onnx.ModelProto,
    metadata: ModelMetadata,
    network: tuple[int, int],
    batch: int | None,
    source: object,
) -> None:
    if metadata.size_is_static and network != metadata.imgsz:
        raise ModelError(
            f"{source} has an input of {metadata.imgsz[0]} x {metadata.imgsz[1]} pixels (height x "
            f"width): it cannot take {network[0]} x {network[1]}"
        )
    if batch is not None and metadata.batch not in (None, batch):
        raise ModelError(
            f"{source} takes batches of {metadata.batch}: expected {batch}, or a model exported "
            "with a dynamic batch"
        )
    sides = graph_inputs(model)[0].type.tensor_type.shape.dim
    sides[2].dim_value, sides[3].dim_value = network
    if batch is not None:
        sides[0].dim_value = batch
    # What exporters noted about the tensors inside may hold for the free size only.
    del model.graph.value_info[:]


def _take_float32(model: onnx.ModelProto) -> None:
    value = graph_inputs(model)[0]
    if value.type.tensor_type.elem_type == TensorProto.FLOAT:
        return
    half, value.name = value.name, f"{value.name}_float32"
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    cast = helper.make_node(
        "Cast", [value.name], [half], name=f"{half}_cast", to=TensorProto.FLOAT16
    )
    model.graph.node.insert(0, cast)


def _give_rows(model: onnx.ModelProto, metadata: ModelMetadata, source: object) -> None:
    graph = GraphBuilder(model.graph)
    value = model.graph.output[0]
    name = value.name
    count: int | str = value.type.tensor_type.shape.dim[1].dim_value or "count"
    if value.type.tensor_type.elem_type != TensorProto.FLOAT:
        name = graph.to_float32(name, "kp_pose")
    if metadata.layout is Layout.RAW:
        points = metadata.kpt_shape[0] * metadata.kpt_shape[1]
        anchors = _count_anchors(model, source)
        name, count = append_selection(graph, name, len(metadata.class_names), points, anchors)
    if name != OUTPUT:
        graph.add("Identity", [name], "kp_pose", output=OUTPUT)
    batch = graph_inputs(model)[0].type.tensor_type.shape.dim[0].dim_value or "batch"
    shape = (batch, count, metadata.row_width)
    value.CopyFrom(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape))


def _count_anchors(model: onnx.ModelProto, source: object) -> int:
    """Return the number of columns of a raw output; the input's size is known by now."""
    model.graph.output[0].type.tensor_type.ClearField("shape")
    sides = infer_shapes(model).output[0].type.tensor_type.shape.dim
    if len(sides) == 3 and sides[2].dim_value > 0:
        return int(sides[2].dim_value)
    raise ModelError(
        f"the number of anchors of {source} cannot be told from its graph: export the model again "
        "with a fixed input size"
    )
