# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads ONNX files, their metadata, and the weights that they store in other files.

An untrusted model names the files of its weights, and could name any file on the machine, or the
same gigabyte a thousand times. Old versions of onnx check neither.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from kp_pose_ros.errors import ModelError, printable
from kp_pose_ros.models.families import find_foreign_family, is_rtmo
from kp_pose_ros.models.graph import (
    DEFAULT_DOMAIN,
    Shape,
    infer_shapes,
    opset_of,
    shape_of,
    sort_nodes,
    subgraphs,
    upgrade,
)
from kp_pose_ros.models.layouts import GraphShape, Layout
from kp_pose_ros.models.metadata import (
    NOTHING_ASSUMED,
    Assumed,
    ModelMetadata,
    check_task,
    read_metadata,
)
from kp_pose_ros.resources import read_file

# Tied weights are stored once and read twice.
_MAX_READS_OF_A_BYTE = 2
_MIN_OPSET = 11  # the first with TopK and GatherElements as `append_rows` uses them
_SHAPES_OPSET = 14  # before it, onnx cannot infer the shapes that a graph computes
_OPSET = 17
_MAX_BYTES = 2**31 - 1  # what protobuf can read
_MAX_RATIO = 20  # weights hardly compress
_MAX_NODES = 100_000  # yolo11x-pose has 1,000
_MAX_DIMENSIONS = 16
_WIDTHS = {  # bytes of a number
    **dict.fromkeys((onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.BOOL), 1),
    **dict.fromkeys((onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16), 2),
    **dict.fromkeys((onnx.TensorProto.FLOAT, onnx.TensorProto.INT32), 4),
    **dict.fromkeys((onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64), 8),
}
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)


def read_onnx(path: Path) -> onnx.ModelProto:
    """Return the model in an ONNX file, without the weights that it stores in other files.

    From a .zip, this reads the ONNX file in it.

    Raises:
        ModelError: the file is not an ONNX model, or looks malicious.
    """
    try:
        is_zip = path.suffix.lower() == ".zip"
        model = onnx.load_from_string(_unzip(path) if is_zip else read_file(path, _MAX_BYTES))
    except (OSError, DecodeError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path} cannot be read as an ONNX model: {reason}") from error
    if not model.graph.node:
        raise ModelError(f"{path} has no ONNX graph: is the file complete?")
    _check_limits(model, path)
    return model


def _unzip(path: Path) -> bytes:
    """Return the only .onnx file in a zip, as the makers of RTMO publish it."""
    with zipfile.ZipFile(path) as archive:
        files = [
            file
            for file in archive.infolist()
            if re.fullmatch(r"(.*/)?[^./][^/]*\.onnx", file.filename, re.IGNORECASE)
        ]  # names that begin with a dot are macOS's metadata
        if len(files) != 1:
            raise ModelError(f"{path} holds {len(files)} .onnx files: expected one")
        (file,) = files
        if file.file_size > min(_MAX_BYTES, _MAX_RATIO * path.stat().st_size):
            raise ModelError(
                f"{path} holds {file.filename}, which claims {file.file_size} bytes: expected at "
                f"most {_MAX_BYTES}, and {_MAX_RATIO} times the size of the zip"
            )
        return archive.read(file)


def _check_limits(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a model that would keep onnx busy for minutes, or crash the process inside it."""
    for tensor in model.graph.initializer:
        width = _WIDTHS.get(tensor.data_type)
        if tensor.raw_data and width and len(tensor.dims) <= _MAX_DIMENSIONS:
            expected = width * math.prod(tensor.dims)
            if len(tensor.raw_data) != expected:
                raise ModelError(
                    f"the weight {tensor.name} of {path} has {len(tensor.raw_data)} bytes: its "
                    f"shape needs {expected}, so download or export the model again"
                )
    dimensions = max((len(tensor.dims) for tensor in model.graph.initializer), default=0)
    found = {
        f"{len(model.graph.node)} nodes": len(model.graph.node) > _MAX_NODES,
        f"a weight of {dimensions} dimensions": dimensions > _MAX_DIMENSIONS,
    }
    for what, is_too_much in found.items():
        if is_too_much:
            raise ModelError(
                f"{path} has {what}: expected at most {_MAX_NODES} nodes and {_MAX_DIMENSIONS} "
                "dimensions, so do not use the model unless you trust its source"
            )
    calls = {
        (function.domain, function.name): set(_called(function.node))
        for function in model.functions
    }
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        raise ModelError(f"{path} has a function that calls itself: export it again") from error


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        yield node.domain, node.op_type
        for graph in subgraphs(node):
            yield from _called(graph.node)


def load_onnx(path: Path) -> onnx.ModelProto:
    """Return the model in an ONNX file, with all its weights.

    Raises:
        ModelError: the file is not an ONNX model, or stores weights outside its own folder.
    """
    model = read_onnx(path)
    load_external_data(model, path)
    return model


def modernise(model: onnx.ModelProto, source: object) -> None:
    """Sort the nodes topologically, and convert them to an opset that the later steps support.

    Raises:
        ModelError: the nodes form a cycle, or the operators are too old.
    """
    sort_nodes(model.graph, source)
    found = opset_of(model)
    if found >= _SHAPES_OPSET:
        return
    try:
        upgrade(model, _OPSET)
    except ValueError as error:
        if found < _MIN_OPSET:
            raise ModelError(
                f"{source} uses version {found} of the ONNX operators, and onnx cannot convert it "
                f"to version {_OPSET} ({error}): export the model again with a later opset"
            ) from error


def check_graph(model: onnx.ModelProto, source: object) -> None:
    """Refuse a graph that no engine would accept; its weights are not needed.

    Raises:
        ModelError: a node reads a tensor that no node produces, or is not valid in its opset.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {entry.domain: entry.version for entry in model.opset_import}
    known = {value.name for value in (*model.graph.input, *model.graph.initializer)} | {""}
    for node in model.graph.node:
        if missing := [name for name in node.input if name not in known]:
            raise ModelError(
                f"the node {node.name or node.op_type} of {source} reads {missing[0]}, which "
                "no node produces: export the model again"
            )
        known.update(node.output)
        has_functions = any(function.name == node.op_type for function in model.functions)
        if node.domain in DEFAULT_DOMAIN and not has_functions:
            try:
                onnx.checker.check_node(node, context)
            except onnx.checker.ValidationError as error:
                reason = printable(" ".join(str(error).split()), 200)
                raise ModelError(
                    f"the node {node.name or node.op_type} of {source} is not valid ONNX "
                    f"({reason}): export the model again"
                ) from error


def check_shapes(model: onnx.ModelProto, source: object) -> None:
    """Refuse a prepared graph whose tensors do not fit each other, as engines do.

    Raises:
        ModelError: two shapes contradict each other.
    """
    try:
        infer_shapes(model, strict=True)
    except onnx.shape_inference.InferenceError as error:
        reason = printable(" ".join(str(error).split()), 300)
        raise ModelError(
            f"the shapes in the graph of {source} contradict each other ({reason}): export the "
            "model again, with an input size that is a multiple of its stride"
        ) from error


def graph_metadata(
    model: onnx.ModelProto, source: object, assumed: Assumed = NOTHING_ASSUMED
) -> ModelMetadata:
    """Return the input and output of a model, as `modernise` leaves it; see `read_metadata`.

    Raises:
        ModelError: it is not a pose model.
    """
    values = {entry.key: entry.value for entry in model.metadata_props}
    check_task(values, source)
    inputs, outputs = graph_inputs(model), list(model.graph.output)
    if family := find_foreign_family(inputs, outputs):
        raise ModelError(f"{source} looks like {family}")
    is_pair = len(inputs) == 1 and is_rtmo(outputs)
    if len(inputs) != 1 or not (len(outputs) == 1 or is_pair):
        raise ModelError(
            f"{source} has {len(inputs)} inputs and {len(outputs)} outputs "
            f"({', '.join(value.name for value in (*inputs, *outputs))}): expected one picture in, "
            "and one tensor of poses out or the two of RTMO (dets, keypoints)"
        )
    for value in (*inputs, *outputs):
        kind = value.type.tensor_type.elem_type
        if kind not in _FLOATS:
            names = {number: name for name, number in onnx.TensorProto.DataType.items()}
            raise ModelError(
                f"the tensor {value.name} of {source} has the type "
                f"{names.get(kind, f'number {kind}')}: expected FLOAT or FLOAT16"
            )
    if is_pair:
        outputs.sort(key=lambda value: len(shape_of(value)))
        _reorder(model, outputs)
        values.setdefault("names", "{0: 'person'}")
        keypoints = shape_of(outputs[1])[2] or assumed.keypoints or 17
        values.setdefault("kpt_shape", str([keypoints, 3]))
        assumed = Assumed(Layout.RTMO)
    shape = GraphShape(shape_of(inputs[0]), _output_shape(model, outputs[0]))
    return read_metadata(values, shape, source, assumed)


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that are not weights (old files list both as inputs)."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _output_shape(model: onnx.ModelProto, output: onnx.ValueInfoProto) -> Shape:
    """Return the shape of the output: as declared; dimensions left open there are inferred."""
    declared = shape_of(output)
    if declared and None not in declared[1:]:
        return declared
    inferred = shape_of(infer_shapes(model).output[0])
    if len(inferred) != len(declared):
        return declared or inferred
    return tuple(side or found for side, found in zip(declared, inferred, strict=True))


def _reorder(model: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]) -> None:
    """Reorder the outputs of the graph."""
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in outputs]
    del model.graph.output[:]
    model.graph.output.extend(copies)


def external_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """Return the other files in which the ONNX file at `path` stores weights, sorted.

    Raises:
        ModelError: one of them does not exist, or lies outside the folder of `path`.
    """
    return sorted({_locate(tensor, path) for tensor in _external_tensors(model)})


def load_external_data(model: onnx.ModelProto, path: Path, *, largest: int | None = None) -> None:
    """Read the weights that the ONNX file at `path` stores in other files into its `model`.

    Weights of more than `largest` bytes are only checked, not read; None reads all.

    Raises:
        ModelError: a file lies outside the folder of `path`, cannot be read, or is too short.
    """
    budget = _MAX_READS_OF_A_BYTE * sum(file.stat().st_size for file in external_files(model, path))
    for tensor in list(_external_tensors(model)):
        file, offset, length = _find_bytes(tensor, path)
        budget -= length
        if budget < 0:
            raise ModelError(
                f"{path} reads the files of its weights more than {_MAX_READS_OF_A_BYTE} times: "
                "expected each weight to have bytes of its own"
            )
        if largest is None or length <= largest:
            with file.open("rb") as stream:
                stream.seek(offset)
                tensor.raw_data = stream.read(length)
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _locate(tensor: onnx.TensorProto, path: Path) -> Path:
    location = _entries(tensor).get("location", "")
    folder = path.parent.resolve()
    file = (folder / location).resolve()  # follows links, too
    if folder not in file.parents:
        raise ModelError(
            f"{path} stores the weight {tensor.name} in {location!r}: expected a file in its own "
            "folder; do not use the model unless you trust its source"
        )
    if not file.is_file():
        raise ModelError(
            f"{path} stores the weight {tensor.name} in {location!r}, which is missing: copy that "
            "file, too"
        )
    return file


def _find_bytes(tensor: onnx.TensorProto, path: Path) -> tuple[Path, int, int]:
    """Return the file of a weight, and the offset and length of its bytes in it."""
    file = _locate(tensor, path)
    size = file.stat().st_size
    entries = _entries(tensor)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
    except ValueError:
        offset = length = -1
    if not 0 <= offset <= offset + length <= size:
        raise ModelError(
            f"{path} expects the weight {tensor.name} at offset {entries.get('offset', 0)!r}, "
            f"length {entries.get('length')!r} of {file.name}, which has {size} bytes: copy that "
            "file again"
        )
    return file, offset, length


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
        for graph in subgraphs(node):
            yield from _graph_tensors(graph)
