# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of model files, by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import onnx

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import check_checkpoint, write_onnx
from kp_pose_ros.models.engine_file import engine_metadata
from kp_pose_ros.models.graph import without_weights
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.metadata import ModelMetadata
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


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the user states about a model file whose metadata lacks it.

    Attributes:
        layout: the layout of the output.
        keypoints: the number of keypoints of the skeleton that was given.
    """

    layout: Layout | None = None
    keypoints: int | None = None


class Format(NamedTuple):
    """How one kind of model file is read.

    Attributes:
        metadata: returns the metadata of a file, after checking that a graph can be made of it.
        graph: returns a file's float32 graph for an input size.
        more_files: returns the other files in which a file keeps its weights.
    """

    metadata: Callable[[Path, Assumed], ModelMetadata]
    graph: Callable[[Path, Size], onnx.ModelProto]
    more_files: Callable[[Path], list[Path]] = lambda _path: []


def _checkpoint_metadata(path: Path, _assumed: Assumed) -> ModelMetadata:
    return check_checkpoint(read_checkpoint(path))


def _checkpoint_graph(path: Path, network: Size) -> onnx.ModelProto:
    return write_onnx(read_checkpoint(path), imgsz=network, batch=None)


def _onnx_metadata(path: Path, assumed: Assumed) -> ModelMetadata:
    model = read_onnx(path)
    load_external_data(model, path, largest=_SMALL)
    light = without_weights(model)
    modernise(light, path)
    check_graph(light, path)
    metadata = graph_metadata(light, path, layout=assumed.layout, keypoints=assumed.keypoints)
    prepare(light, metadata.imgsz, metadata=metadata, source=path)
    check_shapes(light, path)
    return metadata


def _onnx_graph(path: Path, _network: Size) -> onnx.ModelProto:
    return load_onnx(path)


def _onnx_files(path: Path) -> list[Path]:
    return external_files(read_onnx(path), path)


def _engine_metadata(path: Path, assumed: Assumed) -> ModelMetadata:
    return engine_metadata(path, layout=assumed.layout, keypoints=assumed.keypoints)


def _engine_graph(path: Path, _network: Size) -> onnx.ModelProto:
    raise ModelError(
        f"{path} is a TensorRT engine, which has no ONNX graph: give the .pt or .onnx file "
        "that it was made from"
    )


_FORMATS = {
    ".pt": Format(_checkpoint_metadata, _checkpoint_graph),
    ".onnx": Format(_onnx_metadata, _onnx_graph, _onnx_files),
    ".zip": Format(_onnx_metadata, _onnx_graph),
    ".engine": Format(_engine_metadata, _engine_graph),
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
