# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tensors as a torch checkpoint describes them: a window of sizes and strides over a storage."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.unpickler import Global

MAX_DIMENSIONS = 8

# torch's storage classes, and the numpy type of one number. numpy has no bfloat16, which is the
# upper half of a float32.
STORAGE_TYPES: dict[str, np.dtype[Any]] = {
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.BFloat16Storage": np.dtype("<u2"),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.ShortStorage": np.dtype("<i2"),
    "torch.CharStorage": np.dtype("i1"),
    "torch.ByteStorage": np.dtype("u1"),
    "torch.BoolStorage": np.dtype("?"),
}


@dataclass(frozen=True, slots=True)
class Storage:
    """`count` consecutive numbers that the file stores under `key`."""

    kind: str
    key: str
    count: int

    @property
    def item_size(self) -> int:
        """Bytes of one number."""
        return STORAGE_TYPES[self.kind].itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return self.count * self.item_size


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that is still in the file, known to lie inside its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, read: Callable[[str], bytes]) -> npt.NDArray[Any]:
        """Return the numbers, in the stored type (bfloat16 as float32); `read` returns a storage.

        Raises:
            ModelError: if its bytes are damaged.
        """
        item_size = self.storage.item_size
        values: npt.NDArray[Any] = np.ndarray(
            self.shape,
            STORAGE_TYPES[self.storage.kind],
            read(self.storage.key),
            self.offset * item_size,
            tuple(stride * item_size for stride in self.strides),
        )
        if self.storage.kind == "torch.BFloat16Storage":
            return (values.astype("<u4") << 16).view("<f4")
        return values


def load_persistent(identifier: Any, check: Callable[[Storage], None]) -> Storage | Global:
    """Return what a persistent id of the pickle stands for.

    Args:
        identifier: `("storage", class, key, device, count)`, as torch writes it; before version 1.6
            followed by the part of the storage, or `("module", class, file, source)`.
        check: refuses a storage that the file does not have.

    Raises:
        ModelError: if it is anything else.
    """
    match identifier:
        case ("storage", Global(kind), str(key), str(), int(count), *part) if (
            kind in STORAGE_TYPES and part in ([], [None])
        ):
            storage = Storage(kind, key, count)
            check(storage)
            return storage
        case ("module", Global() as name, _, _):
            return name
    raise ModelError("its pickle refers to something that is not a tensor storage")


def rebuild_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, *_gradient_and_hooks: Any
) -> StoredTensor:
    """Stand in for `torch._utils._rebuild_tensor_v2`.

    Raises:
        ModelError: if the tensor is not plain, or reaches outside its storage.
    """
    if not (
        isinstance(storage, Storage)
        and _is_size(offset)
        and isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides) <= MAX_DIMENSIONS
        and all(_is_size(number) for number in shape + strides)
    ):
        raise ModelError("it has a tensor with invalid offset, sizes or strides")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # A tensor may repeat its numbers (stride 0), but one larger than its storage is only a way to
    # make a small file claim much memory.
    if count > storage.count or (count and last >= storage.count):
        raise ModelError(
            f"it has a tensor of sizes {shape}, strides {strides} and offset {offset} "
            f"that reaches outside its storage of {storage.count} numbers"
        )
    # With at most one number, any offset and stride would do: these stay small.
    steps = tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
    return StoredTensor(storage, offset if count else 0, shape, steps)


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0
