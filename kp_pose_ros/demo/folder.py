# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's folder: deletes the files of the previous run and keeps all others."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from kp_pose_ros.errors import SettingsError

_LIST = ".written_by_demo"


class Folder:
    """A folder that one run at a time writes its files into."""

    def __init__(self, path: Path) -> None:
        """Make the folder, and delete the files that the previous run listed.

        Raises:
            SettingsError: it cannot be written, or another demo is writing into it.
        """
        self._path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._list = (path / _LIST).open("a+b", buffering=0)
            fcntl.flock(self._list, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._list.seek(0)
            for name in self._list.read().split(b"\0")[:-1]:
                (path / os.fsdecode(name)).unlink(missing_ok=True)
            self._list.truncate(0)
        except BlockingIOError as error:
            raise SettingsError(
                f"another demo is writing into {path}: wait until it ends, or choose another "
                "folder with OUTPUT=DIR"
            ) from error
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from error

    def file(self, name: str) -> Path:
        """Return the path of a file that this run writes and the next run deletes.

        Raises:
            SettingsError: a file of that name exists that no demo wrote, or the disk is full.
        """
        if (self._path / name).exists():
            raise SettingsError(
                f"{self._path / name} exists and was not written by the demo: move it away, or "
                "choose another folder with OUTPUT=DIR"
            )
        try:
            self._list.write(os.fsencode(name) + b"\0")
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be written: {error.strerror}") from error
        return self._path / name
