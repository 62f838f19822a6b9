# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files that `torch.save` writes: a zip of one pickle and each tensor's numbers as an entry.

Before torch 1.6, and on demand since, it is one file of several pickles, followed by the numbers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.tensors import Storage

# The largest pickle seen in a checkpoint has 0.4 MB. A byte of pickle can become 72 bytes of Python
# objects, so this limits a hostile one to about 150 MB.
MAX_PICKLE_BYTES = 2 << 20

_ZIP_PROBLEMS = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,  # an encrypted entry
    ValueError,
)

# A pickle of torch's magic number, after the opcodes that name the protocol.
_MAGIC = b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
_COUNT_BYTES = 8

Load = Callable[[BinaryIO], Any]


class ZipArchive:
    """A checkpoint's zip whose entries are known to fit into the file itself."""

    def __init__(self, zip_file: zipfile.ZipFile, size: int) -> None:
        """Check the folder of the zip; `size` is that of the file, in bytes.

        Raises:
            ModelError: if `torch.save` does not write such a zip, or if it claims more than `size`.
        """
        self.size = size
        self._zip = zip_file
        self._entries = {entry.filename: entry for entry in zip_file.infolist()}
        self._check_sizes()
        self._root = self._find_root()
        byte_order = f"{self._root}/byteorder"  # older versions of torch do not write it
        if byte_order in self._entries and self._read(byte_order) != b"little":
            raise ModelError("its numbers are big-endian, expected little-endian")

    def content(self, load: Load) -> Any:
        """Return what `load` makes of the checkpoint's pickle."""
        name = f"{self._root}/data.pkl"
        size = self._entries[name].file_size
        if size > MAX_PICKLE_BYTES:
            raise ModelError(
                f"its pickle has {size} bytes, expected at most {MAX_PICKLE_BYTES}; "
                "`strip_optimizer` of ultralytics makes it smaller"
            )
        return load(io.BytesIO(self._read(name)))

    def check(self, storage: Storage) -> None:
        """Refuse a storage that the zip does not have; called while the pickle is loaded."""
        entry = self._entries.get(f"{self._root}/data/{storage.key}")
        if entry is None:
            raise ModelError(f"its tensor storage {storage.key[:40]!r} is missing")
        if storage.nbytes != entry.file_size:
            raise _wrong_size(storage, f"the file has {entry.file_size} bytes of it")

    def storage(self, key: str) -> bytes:
        """Return the bytes of the storage `key`, after verifying their checksum."""
        return self._read(f"{self._root}/data/{key}")

    def _check_sizes(self) -> None:
        for name, entry in self._entries.items():
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise ModelError(f"its entry {name[:80]!r} is compressed, which torch never does")
        claimed = sum(entry.file_size for entry in self._entries.values())
        if claimed > self.size:
            raise ModelError(f"its entries claim {claimed} bytes, but the file has {self.size}")

    def _find_root(self) -> str:
        roots = [
            name.removesuffix("/data.pkl")
            for name in self._entries
            if name.endswith("/data.pkl") and name.count("/") == 1
        ]
        if len(roots) != 1:
            raise ModelError(
                f"it holds {len(roots)} files data.pkl, expected one, as in a torch checkpoint"
            )
        if f"{roots[0]}/constants.pkl" in self._entries:
            raise ModelError(
                "it is a TorchScript archive: expected the .pt checkpoint that it was exported from"
            )
        return roots[0]

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._entries[name])
        except _ZIP_PROBLEMS as error:
            raise ModelError(f"its entry {name[:80]!r} is damaged ({error})") from error


class LegacyArchive:
    """A checkpoint of several pickles, one after the other, followed by the numbers."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """Wrap a file of `size` bytes."""
        self.size = size
        self._stream = stream
        self._claimed: dict[str, Storage] = {}
        self._offsets: dict[str, int] = {}

    def content(self, load: Load) -> Any:
        """Return what `load` makes of the checkpoint's pickle."""
        head = io.BytesIO(self._stream.read(MAX_PICKLE_BYTES))
        head.seek(head.getvalue().index(_MAGIC) + len(_MAGIC))
        _version, system = load(head), load(head)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ModelError("its numbers are big-endian, expected little-endian")
        content, keys = load(head), load(head)
        self._locate(keys, head.tell())
        return content

    def check(self, storage: Storage) -> None:
        """Refuse a storage that is larger than the file; `_locate` checks that it is there."""
        if (
            not 0 <= storage.nbytes <= self.size
            or self._claimed.setdefault(storage.key, storage) != storage
        ):
            raise _wrong_size(storage, f"the file has {self.size} bytes in all")

    def storage(self, key: str) -> bytes:
        """Return the bytes of the storage `key`."""
        if key not in self._offsets:
            raise ModelError(f"its tensor storage {key[:40]!r} is missing")
        self._stream.seek(self._offsets[key])
        return self._stream.read(self._claimed[key].nbytes)

    def _locate(self, keys: Any, offset: int) -> None:
        """Find the storages, which follow each other in the order of `keys`."""
        if not isinstance(keys, list):
            raise ModelError("it has no list of its tensor storages")
        for key in keys:
            storage = self._claimed.get(key) if isinstance(key, str) else None
            if storage is None:
                raise ModelError("it lists a tensor storage that no tensor has")
            self._stream.seek(offset)
            found = int.from_bytes(self._stream.read(_COUNT_BYTES), "little")
            offset += _COUNT_BYTES
            if found != storage.count or offset + storage.nbytes > self.size:
                raise _wrong_size(storage, f"the file has {found} of them, and ends at {self.size}")
            self._offsets[key] = offset
            offset += storage.nbytes


def _wrong_size(storage: Storage, found: str) -> ModelError:
    return ModelError(
        f"its tensor storage {storage.key[:40]!r} claims {storage.count} numbers of "
        f"{storage.item_size} bytes, but {found}"
    )


Archive = ZipArchive | LegacyArchive


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open the checkpoint at `path` for as long as the `with` block lasts.

    Raises:
        ModelError: if it is not a file, or not one that `torch.save` writes.
    """
    if not path.is_file():
        raise ModelError("there is no such file")
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            if _MAGIC in stream.read(4 * len(_MAGIC)):
                stream.seek(0)
                yield LegacyArchive(stream, size)
                return
        zip_file = zipfile.ZipFile(path)
    except _ZIP_PROBLEMS as error:
        raise ModelError(
            f"it is not a complete zip archive ({error}); download it again"
        ) from error
    with zip_file:
        yield ZipArchive(zip_file, size)
