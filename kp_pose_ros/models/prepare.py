# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prepares a graph for all engines: one input size, float32 input, candidate rows as output.

The raw output of a pose network is dense: 8,400 columns at 640 x 640, of which only a few hundred
matter. With the selection in the graph, the engine copies less and the CPU does not scan them all.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import GraphBuilder, infer_shapes, rename_value, shape_of
from kp_pose_ros.models.layouts import PATH, Layout, Width, append_rows
from kp_pose_ros.models.metadata import LAYOUT_KEY, ModelMetadata
from kp_pose_ros.models.onnx_file import graph_inputs, graph_metadata, modernise

OUTPUT = "rows"

_MIN_IR = 4  # before it, every constant also had to be an input of the graph


def prepare(
    model: onnx.ModelProto,
    network: tuple[int, int],
    *,
    metadata: ModelMetadata | None = None,
    batch: int | None = None,
    source: object = "the model",
) -> None:
    """Convert a pose model of any layout to the graph that engines run.

    Afterwards it has one float32 input (B, C, H, W), RGB (C = 3) or grey (C = 1) in [0, 1], and
    one float32 output `rows`, (B, N, 6 + K * D): x1 y1 x2 y2 score class keypoints, in network
    pixels. For a model with a row or column per anchor, N is `MAX_CANDIDATES`, or the number of
    anchors if that is less, and the rows are sorted, best score first. A model whose output is
    rows keeps their number and order.

    Args:
        model: the model, with its weights inside; changed in place, because it may be large.
        network: (height, width) of the input, in pixels.
        metadata: the model's input and output; None reads it from the model.
        batch: the only batch size of the graph; None keeps that of the model.
        source: names the model in messages.

    Raises:
        ModelError: it is not a pose model, cannot take `network` or `batch`, or its operators are
            too old.
    """
    modernise(model, source)
    metadata = metadata or graph_metadata(model, source)
    declared = _anchors(model.graph, metadata.layout) if metadata.size_is_static else None
    _fix_input(model, metadata, network, batch, source)
    _free_names(model)
    graph = GraphBuilder(model.graph)
    _take_unit_rgb(model, graph, metadata.layout)
    _give_rows(model, graph, metadata, declared)
    values = {entry.key: entry.value for entry in model.metadata_props}
    values["imgsz"] = str(list(network))
    is_done = not metadata.layout.needs_suppression
    values[LAYOUT_KEY] = (Layout.ROWS if is_done else Layout.CANDIDATES).value
    values["names"] = str(dict(enumerate(metadata.class_names)))
    values["kpt_shape"] = str(list(metadata.kpt_shape))
    helper.set_model_props(model, values)
    model.ir_version = max(model.ir_version, _MIN_IR)


def _anchors(graph: onnx.GraphProto, layout: Layout) -> int | None:
    """Return the number of anchors or rows that a graph declares; None if it does not."""
    shape = shape_of(graph.output[0])
    return layout.sides(shape)[1] if len(shape) == 3 else None


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
    picture = graph_inputs(model)[0]
    sides = picture.type.tensor_type.shape.dim
    sides[2].dim_value, sides[3].dim_value = network
    if batch is not None:
        sides[0].dim_value = batch
    elif metadata.batch is None:
        sides[0].dim_param = "batch"  # some exporters write 0 or -1
    # Old files list weights as inputs, too, and engines then take them for variable.
    for value in [each for each in model.graph.input if each.name != picture.name]:
        model.graph.input.remove(value)
    # Shapes that exporters stored for inner tensors may be valid for the free size only.
    del model.graph.value_info[:]


def _free_names(model: onnx.ModelProto) -> None:
    """Rename a tensor of the model that has the name of the new output."""
    builder = GraphBuilder(model.graph)
    if builder.is_used(OUTPUT):
        rename_value(model.graph, OUTPUT, builder.new_name(f"{PATH}/models_own_{OUTPUT}"))


def _take_unit_rgb(model: onnx.ModelProto, graph: GraphBuilder, layout: Layout) -> None:
    """Make the input float32 RGB in [0, 1], and convert it to what the network expects."""
    value = graph_inputs(model)[0]
    is_float32 = value.type.tensor_type.elem_type == TensorProto.FLOAT
    if is_float32 and layout is not Layout.RTMO:
        return
    wanted, value.name = value.name, graph.new_name(f"{value.name}_float32")
    value.type.tensor_type.elem_type = TensorProto.FLOAT
    first = len(model.graph.node)
    name = value.name
    if layout is Layout.RTMO:
        name = graph.add("Gather", [name, graph.integers(2, 1, 0)], PATH, axis=1)
        name = graph.add("Mul", [name, graph.number(255)], PATH)
    kind = TensorProto.FLOAT if is_float32 else TensorProto.FLOAT16
    graph.add("Cast", [name], PATH, output=wanted, to=kind)
    added = list(model.graph.node)[first:]
    kept = list(model.graph.node)[:first]
    del model.graph.node[:]
    model.graph.node.extend((*added, *kept))


def _give_rows(
    model: onnx.ModelProto, graph: GraphBuilder, metadata: ModelMetadata, declared: int | None
) -> None:
    outputs = list(model.graph.output)
    names = [
        value.name
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
        else graph.to_float32(value.name, PATH)
        for value in outputs
    ]
    for value in outputs:
        value.type.tensor_type.ClearField("shape")  # it may be that of another input size
    anchors = _anchors(infer_shapes(model), metadata.layout) or declared
    width = Width(len(metadata.class_names), metadata.kpt_shape)
    name, count = append_rows(graph, names, metadata.layout, width, anchors)
    graph.add("Identity", [name], PATH, output=OUTPUT)
    batch = graph_inputs(model)[0].type.tensor_type.shape.dim[0].dim_value or "batch"
    shape = (batch, count or "count", metadata.row_width)
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape))
