# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads ONNX files, what they say about themselves, and the weights that they keep elsewhere.

A stranger's model names the files of its weights, and could name any file of the machine, or the
same gigabyte a thousand times. Old versions of onnx check neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.graph import sort_nodes
from kp_pose_ros.models.layouts import GraphShape, Shape
from kp_pose_ros.models.metadata import ModelMetadata, read_metadata

# Tied weights are stored once and read twice.
_MAX_READS_OF_A_BYTE = 2
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


def external_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """Return the other files in which the ONNX file at `path` keeps weights, sorted.

    Raises:
        ModelError: one of them does not exist, or lies outside the folder of `path`.
    """
    return sorted({_locate(tensor, path) for tensor in _external_tensors(model)})


def load_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Read the weights that the ONNX file at `path` keeps in other files into `model`.

    Raises:
        ModelError: a file lies outside the folder of `path`, cannot be read, or is too short.
    """
    budget = _MAX_READS_OF_A_BYTE * sum(file.stat().st_size for file in external_files(model, path))
    for tensor in list(_external_tensors(model)):
        content = _read(tensor, path)
        budget -= len(content)
        if budget < 0:
            raise ModelError(
                f"{path} reads the files of its weights more than {_MAX_READS_OF_A_BYTE} times: "
                "expected each weight to have bytes of its own"
            )
        tensor.raw_data = content
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _locate(tensor: onnx.TensorProto, path: Path) -> Path:
    location = _entries(tensor).get("location", "")
    folder = path.parent.resolve()
    file = (folder / location).resolve()  # follows links, too
    if folder not in file.parents:
        raise ModelError(
            f"{path} keeps the weight {tensor.name} in {location!r}: expected a file in its own "
            "folder; do not use the model unless you trust its source"
        )
    if not file.is_file():
        raise ModelError(
            f"{path} keeps the weight {tensor.name} in {location!r}, which is not there: copy that "
            "file, too"
        )
    return file


def _read(tensor: onnx.TensorProto, path: Path) -> bytes:
    file = _locate(tensor, path)
    size = file.stat().st_size
    entries = _entries(tensor)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
        if not 0 <= offset <= offset + length <= size:
            raise ValueError
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} expects the weight {tensor.name} at offset {entries.get('offset', 0)!r}, "
            f"length {entries.get('length')!r} of {file.name}, which has {size} bytes: copy that "
            "file again"
        ) from error


def _entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def _external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    functions = (_node_tensors(function.node) for function in model.functions)
    for tensor in chain(_graph_tensors(model.graph), *functions):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield tensor


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)
