# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of model files, by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import onnx

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import check_checkpoint, write_onnx
from kp_pose_ros.models.engine_file import engine_metadata
from kp_pose_ros.models.graph import without_weights
from kp_pose_ros.models.metadata import Assumed, ModelMetadata
from kp_pose_ros.models.onnx_file import (
    check_graph,
    check_shapes,
    external_files,
    graph_metadata,
    load_external_data,
    load_onnx,
    modernise,
    read_onnx,
)
from kp_pose_ros.models.prepare import prepare

Size = tuple[int, int]

_SMALL = 8192  # bytes: what a graph computes with, such as shapes


class Format(NamedTuple):
    """How one kind of model file is read."""

    # returns the metadata of a file, after checking that a graph can be made of it
    metadata: Callable[[Path, Assumed], ModelMetadata]
    # returns a file's float32 graph for an input size
    graph: Callable[[Path, Size], onnx.ModelProto]
    # returns the other files in which a file keeps its weights
    more_files: Callable[[Path], list[Path]] = lambda _path: []


def _onnx_metadata(path: Path, assumed: Assumed) -> ModelMetadata:
    model = read_onnx(path)
    load_external_data(model, path, largest=_SMALL)
    light = without_weights(model)
    modernise(light, path)
    check_graph(light, path)
    metadata = graph_metadata(light, path, assumed)
    prepare(light, metadata.imgsz, metadata=metadata, source=path)
    check_shapes(light, path)
    return metadata


def _engine_graph(path: Path, _network: Size) -> onnx.ModelProto:
    raise ModelError(
        f"{path} is a TensorRT engine, which has no ONNX graph: give the .pt or .onnx file "
        "that it was made from"
    )


_FORMATS = {
    ".pt": Format(
        metadata=lambda path, _: check_checkpoint(read_checkpoint(path)),
        graph=lambda path, size: write_onnx(read_checkpoint(path), imgsz=size, batch=None),
    ),
    ".onnx": Format(
        metadata=_onnx_metadata,
        graph=lambda path, _: load_onnx(path),
        more_files=lambda path: external_files(read_onnx(path), path),
    ),
    ".zip": Format(metadata=_onnx_metadata, graph=lambda path, _: load_onnx(path)),
    ".engine": Format(metadata=engine_metadata, graph=_engine_graph),
}
EXPECTED = f"a {', '.join(_FORMATS)} file"


def find_format(path: Path) -> Format:
    """Return how the file at `path` is read.

    Raises:
        ModelError: the suffix is not that of a model file.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ModelError(f"the model file {path} has an unknown suffix: expected {EXPECTED}")
    return _FORMATS[path.suffix.lower()]
