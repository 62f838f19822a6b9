# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engine files: the header that ultralytics puts before the plan."""

from __future__ import annotations

import json
from pathlib import Path

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.fields import Fields
from kp_pose_ros.models.layouts import GraphShape, Layout
from kp_pose_ros.models.metadata import NOTHING_ASSUMED, Assumed, ModelMetadata, read_metadata

_LENGTH_BYTES = 4
_LAYOUTS = (Layout.RAW, Layout.ROWS, Layout.CANDIDATES)
_MAX_HEADER = 1 << 20  # bytes; ultralytics writes a few hundred
_MAX_BATCH = 65536
_MAX_CHANNELS = 1024
_UNKNOWN = (None, None, None)


def engine_metadata(path: Path, assumed: Assumed = NOTHING_ASSUMED) -> ModelMetadata:
    """Return the input and output of an engine file, from its header alone.

    Raises:
        ModelError: the file cannot be read, has no header, or is not a pose model.
    """
    values, _ = read_engine_header(path)
    if not values:
        raise ModelError(
            f"{path} is an engine without a metadata header, so its classes and keypoints are "
            "unknown: expected one exported by ultralytics; give the .pt or .onnx file that it was "
            "made from"
        )
    fields = Fields(values, path)
    is_dynamic = fields.argument("dynamic") is True
    batch = None if is_dynamic else fields.whole_number("batch", _MAX_BATCH) or 1
    size = (None, None) if is_dynamic else fields.size("imgsz") or (None, None)
    channels = fields.whole_number("channels", _MAX_CHANNELS) or 3
    shape = GraphShape((batch, channels, *size), _UNKNOWN)
    metadata = read_metadata(values, shape, path, assumed)
    if metadata.layout not in _LAYOUTS:
        raise ModelError(
            f"the layout of the engine {path} is {metadata.layout.value}: expected one of "
            f"{', '.join(each.value for each in _LAYOUTS)}, because no graph can be added to an "
            "engine; give the .onnx file that it was made from"
        )
    return metadata


def read_engine_header(path: Path) -> tuple[dict[str, object], int]:
    """Return the metadata of an engine file and the offset at which its plan starts.

    The header is a little-endian 32-bit length and that many bytes of JSON. A plain TensorRT plan
    has none: ({}, 0).

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            if not 0 < length <= min(_MAX_HEADER, path.stat().st_size - _LENGTH_BYTES):
                return {}, 0
            content = stream.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return {}, 0
    return (values, _LENGTH_BYTES + length) if isinstance(values, dict) else ({}, 0)
