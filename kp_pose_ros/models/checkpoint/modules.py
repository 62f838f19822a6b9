# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The module tree of a checkpoint: the class, tensors, children and settings of each layer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.tensors import StoredTensor
from kp_pose_ros.models.checkpoint.unpickler import Record

# The largest known model (yolo11x-pose) has 656 modules, nested 8 deep. The limits are for trees
# that contain themselves, or share a branch so often that reading them would never end.
MAX_MODULES = 5_000
MAX_DEPTH = 32
_MAX_NAME = 64


@dataclass(frozen=True)
class Module:
    """One `torch.nn.Module`: inert, and read through methods that validate its values."""

    path: str  # in the model, such as `model.22.cv2.0`
    kind: str  # the name of its class, without the package
    children: Mapping[str, "Module"]
    # parameters, buffers, and attributes that are tensors; in their stored type
    tensors: Mapping[str, npt.NDArray[Any]]
    attributes: Mapping[str, Any]  # all others, as in the file: validate them before use

    def child(self, name: str) -> "Module":
        """Return the child `name`, or raise ModelError."""
        if name not in self.children:
            raise ModelError(f"layer {self.path} ({self.kind}) has no {name}")
        return self.children[name]

    def tensor(self, name: str, dimensions: int) -> npt.NDArray[np.float32]:
        """Return a tensor as float32, or raise ModelError if it has not that many dimensions."""
        with np.errstate(over="ignore"):
            return self.stored(name, dimensions).astype(np.float32)

    def stored(self, name: str, dimensions: int) -> npt.NDArray[Any]:
        """Return a tensor as `tensor` does, but in the type that it is stored in."""
        values = self.tensors.get(name)
        if values is None or values.ndim != dimensions:
            found = "none" if values is None else f"one of shape {values.shape}"
            raise ModelError(
                f"layer {self.path} ({self.kind}) should have a {name} with {dimensions} "
                f"dimensions, but has {found}"
            )
        return values

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number of at least 0, or raise ModelError."""
        value = self.attributes.get(name, default)
        if type(value) is not int or value < 0:
            raise self._unexpected(name, "a whole number of at least 0")
        return value

    def number(self, name: str) -> float:
        """Return a finite number, or raise ModelError."""
        value = self.attributes.get(name)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise self._unexpected(name, "a finite number")
        return float(value)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return True or False, or raise ModelError."""
        value = self.attributes.get(name, default)
        if not isinstance(value, bool):
            raise self._unexpected(name, "True or False")
        return value

    def pair(self, name: str) -> tuple[int, int]:
        """Return (vertical, horizontal) whole numbers; one number stands for both."""
        value = self.attributes.get(name)
        match (value, value) if type(value) is int else value:
            case (int(vertical), int(horizontal)) if vertical >= 0 and horizontal >= 0:
                return vertical, horizontal
        raise self._unexpected(name, "one or two whole numbers of at least 0")

    def expect(self, **attributes: Any) -> None:
        """Raise ModelError unless every attribute given here has this value; absent is fine."""
        for name, value in attributes.items():
            if self.attributes.get(name, value) != value:
                raise self._unexpected(name, repr(value))

    def _unexpected(self, name: str, expected: str) -> ModelError:
        found = self.attributes.get(name)
        shown = repr(found)[:40] if isinstance(found, str | int | float) else type(found).__name__
        return ModelError(
            f"layer {self.path} ({self.kind}) has {name} = {shown}, expected {expected}"
        )


class ModuleReader:
    """Converts the Records of module classes to a tree of Modules.

    Args:
        read: the bytes that the file has under the key of a storage.
        max_bytes: the largest size of the storages of all its tensors together, so that a file
            cannot use one storage for a thousand layers.
    """

    def __init__(self, read: Callable[[str], bytes], max_bytes: int) -> None:
        self._read_storage = read
        self._bytes_left = max_bytes
        self._modules_left = MAX_MODULES

    def read(self, record: Record, path: str = "", depth: int = 0) -> Module:
        """Return the module that `record` describes, with all its children.

        Raises:
            ModelError: if it is not a module, contains itself, or claims more than the file has.
        """
        self._modules_left -= 1
        if self._modules_left < 0 or depth > MAX_DEPTH:
            raise ModelError(
                f"it has more than {MAX_MODULES} modules, or modules nested more than {MAX_DEPTH} "
                "deep, or inside themselves"
            )
        state = _mapping(record.state)
        modules = _mapping(state.get("_modules"))
        stored = {**_mapping(state.get("_buffers")), **_mapping(state.get("_parameters")), **state}
        return Module(
            path=path,
            kind=record.kind.rpartition(".")[2],
            children={
                name: self.read(child, _child_path(path, name), depth + 1)
                for name, child in modules.items()
                if isinstance(child, Record)
            },
            tensors={
                name: self._read_tensor(value)
                for name, value in stored.items()
                if isinstance(value, StoredTensor)
            },
            attributes=state,
        )

    def _read_tensor(self, tensor: StoredTensor) -> npt.NDArray[Any]:
        self._bytes_left -= tensor.storage.nbytes
        if self._bytes_left < 0:
            raise ModelError("its layers claim more numbers than the file has")
        return tensor.array(self._read_storage)


def _mapping(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ModelError("it has a module whose state is not a dictionary")
    return value


def _child_path(path: str, name: Any) -> str:
    # A long name, stored once, could fill memory as part of many paths.
    if not (isinstance(name, str) and len(name) <= _MAX_NAME and name.replace("_", "").isalnum()):
        raise ModelError(f"it has a module with the impossible name {str(name)[:40]!r}")
    return f"{path}.{name}" if path else name
