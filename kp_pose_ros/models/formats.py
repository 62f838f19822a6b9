# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The kinds of model files, by their ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import onnx

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import check_checkpoint, write_onnx
from kp_pose_ros.models.engine_file import engine_metadata
from kp_pose_ros.models.fields import Fields
from kp_pose_ros.models.layouts import GraphShape
from kp_pose_ros.models.metadata import ModelMetadata, read_metadata
from kp_pose_ros.models.onnx_file import load_onnx, onnx_files, onnx_metadata

Size = tuple[int, int]

_MAX_CHANNELS = 1024


class Format(NamedTuple):
    """How one kind of model file is read.

    Attributes:
        metadata: returns what a file says about itself.
        graph: returns a file's float32 graph for an input size.
        more_files: returns the other files in which a file keeps its weights.
    """

    metadata: Callable[[Path], ModelMetadata]
    graph: Callable[[Path, Size], onnx.ModelProto]
    more_files: Callable[[Path], list[Path]] = lambda _path: []


def _checkpoint_metadata(path: Path) -> ModelMetadata:
    checkpoint = read_checkpoint(path)
    values = checkpoint.metadata
    channels = Fields(values, path).whole_number("channels", _MAX_CHANNELS) or 3
    # The writer makes a graph of any size and batch.
    shape = GraphShape((None, channels, None, None), (None, None, None))
    metadata = read_metadata(values, shape, path)
    check_checkpoint(checkpoint)
    return metadata


def _checkpoint_graph(path: Path, network: Size) -> onnx.ModelProto:
    return write_onnx(read_checkpoint(path), imgsz=network, batch=None)


def _onnx_graph(path: Path, _network: Size) -> onnx.ModelProto:
    return load_onnx(path)


def _engine_graph(path: Path, _network: Size) -> onnx.ModelProto:
    raise ModelError(
        f"{path} is a TensorRT engine, of which no graph can be made: give the .pt or .onnx file "
        "that it was made from"
    )


_FORMATS = {
    ".pt": Format(_checkpoint_metadata, _checkpoint_graph),
    ".onnx": Format(onnx_metadata, _onnx_graph, onnx_files),
    ".engine": Format(engine_metadata, _engine_graph),
}
EXPECTED = f"a {', '.join(_FORMATS)} file"


def find_format(path: Path) -> Format:
    """Return how the file at `path` is read.

    Raises:
        ModelError: no model file ends like that.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ModelError(f"the model file {path} has an unknown ending: expected {EXPECTED}")
    return _FORMATS[path.suffix.lower()]
