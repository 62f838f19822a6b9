# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads YOLO checkpoints (.pt) without torch and without executing code from them."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.archive import Archive, open_archive
from kp_pose_ros.models.checkpoint.modules import Module, ModuleReader
from kp_pose_ros.models.checkpoint.tensors import (
    STORAGE_TYPES,
    load_persistent,
    rebuild_tensor,
)
from kp_pose_ros.models.checkpoint.unpickler import Rebuilders, Record, Unpickler

# Everything that a checkpoint of ultralytics may name. All of it is inert here, so the two packages
# are allowed as a whole; the writer checks which layers it supports.
_ALLOWED_PACKAGES = ("torch.nn.modules.", "ultralytics.")
_ALLOWED_NAMES = frozenset(
    {
        *STORAGE_TYPES,
        "__builtin__.getattr",  # older heads keep a reference to `Detect.forward`
        "__builtin__.set",
        "_codecs.encode",  # how the bytes of a numpy number are written
        "builtins.getattr",
        "builtins.set",
        "collections.OrderedDict",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib._local.PosixPath",
        "pathlib._local.WindowsPath",
        "torch.Size",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
        "torch.device",
    }
)


_REBUILDERS: Rebuilders = {
    "collections.OrderedDict": lambda: {},
    "torch._utils._rebuild_parameter": lambda tensor, *_gradient_and_hooks: tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
}

# LVIS, the data set with the most classes that we know, has 1,203 names of 30,000 characters.
_MAX_ITEMS = 4_000
_MAX_TEXT = 1_000_000
# What the graph depends on. The rest are labels, without which a model is still usable.
_STRUCTURE = {"stride", "task", "head", "imgsz", "channels", "kpt_shape"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A model as stored in its `.pt` file."""

    path: Path
    model: Module  # the whole model; its child `model` is the list of layers
    # the keys of ultralytics' exports that the file has, with plain values, not validated yet
    metadata: Mapping[str, object]

    @property
    def layers(self) -> tuple[Module, ...]:
        """The layers in the order they run; the last is the head."""
        return tuple(self.model.child("model").children.values())

    @property
    def head(self) -> Module:
        """The last layer."""
        return self.layers[-1]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint at `path`. Nothing in it is executed, and nothing it names is imported.

    Raises:
        ModelError: if it is not a complete checkpoint of ultralytics, or names anything that does
            not belong in one.
    """
    try:
        with open_archive(path) as archive:
            content = _read_content(archive)
            model = _read_model(content, archive)
            return Checkpoint(path, model, _describe(model, content))
    except ModelError as error:
        raise ModelError(f"cannot read {path} as a YOLO checkpoint: {error}") from error


def _read_content(archive: Archive) -> dict[Any, Any]:
    def load(stream: BinaryIO) -> Any:
        return Unpickler(_is_allowed, _REBUILDERS, persistent).load(stream)

    def persistent(identifier: Any) -> Any:
        return load_persistent(identifier, archive.check)

    content = archive.content(load)
    if not isinstance(content, dict):
        raise ModelError("it is not a dictionary, expected one that holds a model")
    return content


def _is_allowed(name: str) -> bool:
    return name in _ALLOWED_NAMES or name.startswith(_ALLOWED_PACKAGES)


def _read_model(content: Mapping[Any, Any], archive: Archive) -> Module:
    # As in ultralytics: prefer the averaged weights of a training run to the plain ones.
    record = content.get("ema") or content.get("model")
    if not isinstance(record, Record):
        raise ModelError(
            "it holds no model (bare weights are not enough: the file needs the layers)"
        )
    # A distillation run keeps the model beside its teacher.
    student = _dictionary(_dictionary(record.state).get("_modules")).get("student_model")
    record = student if isinstance(student, Record) else record
    model = ModuleReader(archive.storage, max_bytes=archive.size).read(record)
    if not model.child("model").children:
        raise ModelError("its model has no layers")
    return model


def _describe(model: Module, content: Mapping[Any, Any]) -> dict[str, object]:
    *_, head = model.child("model").children.values()
    arguments = _dictionary(content.get("train_args")) | _dictionary(model.attributes.get("args"))
    yaml = _dictionary(model.attributes.get("yaml"))
    values = {
        "description": _description(yaml, arguments),
        "date": content.get("date"),
        "version": content.get("version"),
        "license": content.get("license"),
        "docs": content.get("docs"),
        "stride": _stride(model),
        "task": model.attributes.get("task") or arguments.get("task"),
        "head": head.kind,
        "imgsz": arguments.get("imgsz"),
        "names": model.attributes.get("names"),
        "channels": yaml.get("channels", 3),
        "kpt_shape": head.attributes.get("kpt_shape"),
        "kpt_names": model.attributes.get("kpt_names"),
    }
    for key, value in values.items():
        if _text_size(value) > _MAX_TEXT:
            if key in _STRUCTURE:
                raise ModelError(f"its {key} is not made of a few strings and numbers")
            _log.warning("the %s of a checkpoint is ignored: it is not plain text", key)
            values[key] = None
    return {key: value for key, value in values.items() if value is not None}


def _dictionary(value: Any) -> dict[Any, Any]:
    """Return a dictionary; older checkpoints keep their arguments as attributes of an object."""
    if isinstance(value, Record):
        value = value.state
    return value if isinstance(value, dict) else {}


def _description(yaml: Mapping[Any, Any], arguments: Mapping[Any, Any]) -> str:
    name, data = (
        Path(value) if isinstance(value, str) else Path()
        for value in (yaml.get("yaml_file"), arguments.get("data"))
    )
    model = f"{name.stem or 'YOLO'} model"
    return f"{model} trained on {data.name}" if data.name else model


def _stride(model: Module) -> int:
    largest = float(model.tensor("stride", dimensions=1).max(initial=0))
    if largest < 1 or not largest.is_integer():
        raise ModelError(f"its largest stride is {largest}, expected a positive whole number")
    return int(largest)


def _text_size(value: Any, depth: int = 2) -> float:
    """Return the approximate length of a string, a number, or a list or dictionary of these.

    Infinity for anything else: nested deeper, longer than any known one, or not plain. A list may
    contain an object of the file a thousand times.
    """
    if value is None or isinstance(value, int | float):
        return 10
    if isinstance(value, str):
        return len(value)
    items = [*value, *value.values()] if isinstance(value, dict) else value
    if depth > 0 and isinstance(items, list | tuple) and len(items) <= _MAX_ITEMS:
        return sum(_text_size(item, depth - 1) for item in items)
    return math.inf
