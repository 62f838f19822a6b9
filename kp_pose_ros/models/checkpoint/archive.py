# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The zip that `torch.save` writes: one pickle, each tensor's numbers as an entry."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kp_pose_ros.errors import ModelError

# The largest pickle seen in a checkpoint has 0.4 MB. A byte of pickle can become 72 bytes of Python
# objects, so this keeps what a hostile one can claim near 150 MB.
MAX_PICKLE_BYTES = 2 << 20

_ZIP_PROBLEMS = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,  # an encrypted entry
    ValueError,
)


class Archive:
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
        if self._read_small("byteorder", b"little") != b"little":
            raise ModelError("its numbers are big-endian, expected little-endian")

    def pickle(self) -> bytes:
        """Return the pickle of the checkpoint."""
        name = f"{self._root}/data.pkl"
        size = self._entries[name].file_size
        if size > MAX_PICKLE_BYTES:
            raise ModelError(
                f"its pickle has {size} bytes, expected at most {MAX_PICKLE_BYTES}; "
                "`strip_optimizer` of ultralytics makes it smaller"
            )
        return self._read(name)

    def storage_size(self, key: str) -> int:
        """Return how many bytes the storage `key` has."""
        entry = self._entries.get(f"{self._root}/data/{key}")
        if entry is None:
            raise ModelError(f"its tensor storage {key[:40]!r} is missing")
        return entry.file_size

    def storage(self, key: str) -> bytes:
        """Return the bytes of the storage `key`, after comparing their checksum."""
        return self._read(f"{self._root}/data/{key}")

    def _check_sizes(self) -> None:
        for name, entry in self._entries.items():
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise ModelError(f"its entry {name[:80]!r} is compressed, which torch never does")
        claimed = sum(entry.file_size for entry in self._entries.values())
        if claimed > self.size:
            raise ModelError(f"its entries claim {claimed} bytes, but the file has {self.size}")

    def _find_root(self) -> str:
        roots = [name.removesuffix("/data.pkl") for name in self._entries if _is_pickle(name)]
        if len(roots) != 1:
            raise ModelError(
                f"it holds {len(roots)} data.pkl, expected the one of a torch checkpoint"
            )
        if f"{roots[0]}/constants.pkl" in self._entries:
            raise ModelError(
                "it is a TorchScript archive, expected the .pt checkpoint that it was exported from"
            )
        return roots[0]

    def _read_small(self, name: str, default: bytes) -> bytes:
        path = f"{self._root}/{name}"
        return self._read(path) if path in self._entries else default

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._entries[name])
        except _ZIP_PROBLEMS as error:
            raise ModelError(f"its entry {name[:80]!r} is damaged ({error})") from error


def _is_pickle(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/data.pkl")


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open the checkpoint at `path` for as long as the `with` block lasts.

    Raises:
        ModelError: if it is not a file, not a zip, or not a zip as `torch.save` writes it.
    """
    if not path.is_file():
        raise ModelError("there is no such file")
    try:
        zip_file = zipfile.ZipFile(path)
    except _ZIP_PROBLEMS as error:
        raise ModelError(f"it is not a whole zip archive ({error}); get the file again") from error
    with zip_file:
        yield Archive(zip_file, path.stat().st_size)
