# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The weights that an ONNX file keeps in other files: read only from inside its own folder.

A stranger's model names those files, and could name any file of the machine, or the same gigabyte
a thousand times. Old versions of onnx check neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import onnx

from kp_pose_ros.errors import ModelError

# Tied weights are stored once and read twice.
_MAX_READS_OF_A_BYTE = 2


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
