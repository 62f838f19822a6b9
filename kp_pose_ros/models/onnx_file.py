# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads ONNX files, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.external_data import external_files, load_external_data
from kp_pose_ros.models.layout import GraphShape, Shape
from kp_pose_ros.models.metadata import ModelMetadata, read_metadata
from kp_pose_ros.models.nodes import sort_nodes

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model in an ONNX file, with all its weights and its nodes in running order.

    Raises:
        ModelError: the file is no ONNX model, or keeps weights outside its own folder.
    """
    model = _parse(path)
    load_external_data(model, path)
    sort_nodes(model.graph, path)
    return model


def onnx_files(path: Path) -> list[Path]:
    """Return the other files in which an ONNX file keeps weights.

    Raises:
        ModelError: the file is no ONNX model, or keeps weights outside its own folder.
    """
    return external_files(_parse(path), path)


def onnx_metadata(path: Path) -> ModelMetadata:
    """Return what the model in an ONNX file takes and returns.

    Raises:
        ModelError: the file is no ONNX model, or not a pose model.
    """
    model = _parse(path)
    external_files(model, path)  # refuses those that lie outside the folder
    return graph_metadata(model, path)


def graph_metadata(model: onnx.ModelProto, source: object) -> ModelMetadata:
    """Return what a model takes and returns; `source` names it in messages.

    Raises:
        ModelError: it is not a pose model.
    """
    values = {entry.key: entry.value for entry in model.metadata_props}
    inputs, outputs = graph_inputs(model), list(model.graph.output)
    shape = GraphShape(_shape(inputs), _shape(outputs))
    metadata = read_metadata(values, shape, source)
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"{source} has {len(inputs)} inputs and {len(outputs)} outputs: expected one picture "
            "in, one tensor of poses out"
        )
    for value in (*inputs, *outputs):
        if value.type.tensor_type.elem_type not in _FLOATS:
            found = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            raise ModelError(
                f"the tensor {value.name} of {source} has the type {found}: expected FLOAT or "
                "FLOAT16"
            )
    return metadata


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights (old files list both as inputs)."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _parse(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} cannot be read as an ONNX model: {error}") from error
    if not model.graph.node:
        raise ModelError(f"{path} holds no ONNX graph: is the file complete?")
    return model


def _shape(values: Sequence[onnx.ValueInfoProto]) -> Shape:
    """Return the shape of the first value; () if there is none."""
    if not values:
        return ()
    sides = values[0].type.tensor_type.shape.dim
    return tuple(side.dim_value if side.dim_value > 0 else None for side in sides)
