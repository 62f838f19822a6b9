# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A queue of records on disk, in order, until a broker has them."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import NamedTuple

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.resources import read_file, replace_file

SEGMENT_SECONDS = 60.0
_LARGEST_SEGMENT = 2**23  # bytes
_SEGMENTS = 8  # at least; a full spool drops the oldest one as a whole
_CHUNK = 2**18
_CLOSED, _OPEN = re.compile(r"\d{12}\.jsonl", re.ASCII), re.compile(r"\.\d{12}\.jsonl", re.ASCII)
_LONGEST_POSITION = 100  # bytes
_HIGHEST = 10**12 - 1  # number of a segment


class Position(NamedTuple):
    """A place between two records: a segment's number, and bytes from its beginning."""

    segment: int
    offset: int


class Spool:
    """A folder of segments: files of JSON lines with increasing numbers.

    The name of the segment being written begins with a dot, so that programs that read the folder
    as a source of records (such as Flink and Spark) take complete segments only. One thread
    appends; another may read, commit and sync.

    Attributes:
        dropped: number of records lost: the oldest of a full spool, and new ones on a full disk.
    """

    def __init__(self, folder: Path, largest: int) -> None:
        """Open a folder, with the records that an earlier process left in it.

        Args:
            folder: made if it does not exist.
            largest: bytes that all segments together may take.

        Raises:
            SettingsError: the folder cannot be used, or another process uses it.
        """
        self.dropped = 0
        self._folder = folder
        self._largest = largest
        self._segment_size = min(_LARGEST_SEGMENT, max(1, largest // _SEGMENTS))
        self._guard = Lock()
        self._descriptor = -1
        self._unsynced: list[int] = []  # descriptors of closed segments
        self._is_dirty = False
        self._is_disk_full = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sizes = dict(self._recover())
            self.committed = self._read_position()
            self._newest = 0
            self._delete_committed()
            self._open()
        except BlockingIOError as error:
            raise SettingsError(
                f"the spool {folder} is used by another process: give each a folder of its own"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"the spool {folder} cannot be used ({error.strerror}): expected a folder that can "
                "be written"
            ) from error

    def _recover(self) -> Iterator[tuple[int, int]]:
        """Close an unfinished segment; yield number and size of every segment, in order."""
        for path in self._folder.glob(".*.part"):
            path.unlink(missing_ok=True)
        for path in self._own_files(_OPEN):
            content = path.read_bytes()
            whole = content.rfind(b"\n") + 1
            os.truncate(path, whole)
            path.rename(path.with_name(path.name[1:]))
        for path in self._own_files(_CLOSED):
            if size := path.stat().st_size:
                yield int(path.stem), size
            else:
                path.unlink()

    def _own_files(self, name: re.Pattern[str]) -> list[Path]:
        """Return the segments of one kind, in order, without foreign files in the folder."""
        found = sorted(self._folder.iterdir())
        return [each for each in found if name.fullmatch(each.name) and each.is_file()]

    def _open(self) -> None:
        """Begin a segment."""
        number = max(self.committed.segment, *self._sizes, 0) + 1
        path = self._folder / f".{number:012}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        self._sizes[number] = 0
        self._newest = number
        self._began = monotonic()

    def _is_open(self, number: int) -> bool:
        return number == self._newest and self._descriptor >= 0

    def _path(self, number: int) -> Path:
        return self._folder / f"{'.' if self._is_open(number) else ''}{number:012}.jsonl"

    def append(self, line: bytes) -> bool:
        """Write a record, which ends with a newline; return whether there was room for it."""
        self.rotate_if_due()
        with self._guard:
            while sum(self._sizes.values()) + len(line) > self._largest and self._drop_oldest():
                pass
            stored = self._write(line) or (self._drop_oldest() and self._write(line))
            self.dropped += not stored
        return stored

    def rotate_if_due(self) -> None:
        """Begin a new segment if the current one is large or a minute old."""
        with self._guard:
            size = self._sizes.get(self._newest, 0)
            is_old = size > 0 and monotonic() - self._began >= SEGMENT_SECONDS
            if size >= self._segment_size or is_old:
                self._rotate()

    def _write(self, line: bytes) -> bool:
        try:
            if self._descriptor < 0:
                self._open()
            written = os.write(self._descriptor, line)
        except OSError:
            written = 0
        self._is_disk_full = written < len(line)
        if not self._is_disk_full:
            self._sizes[self._newest] += written
            self._is_dirty = True
            return True
        if written:  # part of a line: the next record must not continue it
            try:
                os.ftruncate(self._descriptor, self._sizes[self._newest])
            except OSError:
                self._rotate()
        return False

    def _rotate(self) -> None:
        if self._descriptor >= 0:
            self._close_segment()
            with suppress(OSError):  # the disk is full: `_write` tries again
                self._open()

    def _close_segment(self) -> None:
        """Take the dot from the name of the segment being written, or delete it if empty."""
        path = self._path(self._newest)
        self._unsynced.append(self._descriptor)
        self._descriptor = -1
        with suppress(FileNotFoundError):  # another program has deleted it
            if self._sizes[self._newest]:
                path.rename(self._path(self._newest))
                return
            path.unlink()
        del self._sizes[self._newest]

    def _drop_oldest(self) -> bool:
        """Delete the oldest closed segment; return whether there was one."""
        oldest = min(self._sizes, default=self._newest)
        if oldest == self._newest:
            return False
        begin = self.committed.offset if oldest == self.committed.segment else 0
        if oldest >= self.committed.segment:
            with suppress(OSError):
                self.dropped += self._path(oldest).read_bytes().count(b"\n", begin)
        self._delete(oldest)
        return True

    def _delete(self, number: int) -> None:
        self._path(number).unlink(missing_ok=True)
        del self._sizes[number]

    def sync(self) -> None:
        """Sync all records appended so far to disk.

        Raises:
            OSError: the sync failed.
        """
        with self._guard:
            waiting, self._unsynced = self._unsynced, []
            if self._is_dirty and self._descriptor >= 0:
                waiting.append(os.dup(self._descriptor))
            self._is_dirty = False
        error = None
        for descriptor in waiting:
            try:
                os.fsync(descriptor)
            except OSError as caught:
                error = caught
            os.close(descriptor)
        if error is not None:
            raise error

    def read(self, position: Position) -> list[tuple[bytes, Position]]:
        """Return the next records after a position, each with the position after it.

        After a position in a dropped segment, reading continues with the oldest segment.
        """
        with self._guard:
            sizes = dict(self._sizes)
        for number in sorted(each for each in sizes if each >= position.segment):
            begin = position.offset if number == position.segment else 0
            try:
                content = self._content(number, begin, sizes[number])
            except FileNotFoundError:  # dropped or closed just now, or deleted by another program
                self._forget_if_deleted(number)
                return []
            if found := [*_lines(content, number, begin)]:
                return found
        return []

    def _forget_if_deleted(self, number: int) -> None:
        with self._guard:
            if number not in self._sizes or self._path(number).exists():
                return
            if self._is_open(number):
                os.close(self._descriptor)
                self._descriptor = -1
            del self._sizes[number]

    def _content(self, number: int, begin: int, size: int) -> bytes:
        with self._path(number).open("rb") as stream:
            stream.seek(begin)
            content = stream.read(min(_CHUNK, size - begin)) if begin < size else b""
            if content and b"\n" not in content:  # a record longer than a chunk
                content += stream.read(size - begin - len(content))
        return content

    def commit(self, position: Position) -> None:
        """Drop the records before a position: a broker has them.

        Raises:
            OSError: the position cannot be saved; the records will be read again after a restart.
        """
        with self._guard:
            self.committed = position
            self._delete_committed()
            if self._is_disk_full:
                self._give_room()
        try:
            self._save(position)
        except OSError:  # the last record may have filled the disk
            with self._guard:
                if not self._give_room():
                    raise
            self._save(position)

    def _save(self, position: Position) -> None:
        with replace_file(self._folder / ".position") as stream:
            stream.write(json.dumps(position).encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _give_room(self) -> bool:
        """Delete the segment being written if all of it is committed; return whether it was."""
        size = self._sizes.get(self._newest)
        if self._descriptor < 0 or self.committed != (self._newest, size):
            return False
        self._rotate()
        os.close(self._unsynced.pop())  # an open file keeps its space on the disk
        self._delete_committed()
        return True

    def _delete_committed(self) -> None:
        for number, size in [*self._sizes.items()]:
            if not self._is_open(number) and Position(number, size) <= self.committed:
                self._delete(number)

    def waiting(self) -> int:
        """Return the bytes of records that are not committed yet."""
        with self._guard:
            newer = [size for n, size in self._sizes.items() if n >= self.committed.segment]
            is_begun = self.committed.segment in self._sizes
            return sum(newer) - (self.committed.offset if is_begun else 0)

    def _read_position(self) -> Position:
        try:
            segment, offset = json.loads(read_file(self._folder / ".position", _LONGEST_POSITION))
            # A position beyond its segment, or beyond all segments, would delete unsent records.
            newest = max(self._sizes, default=_HIGHEST)
            if 0 <= segment <= newest and 0 <= offset <= self._sizes.get(segment, _LARGEST_SEGMENT):
                return Position(int(segment), int(offset))
        except (OSError, ValueError, TypeError):
            pass
        return Position(0, 0)  # missing or damaged: everything is sent again

    def close(self) -> None:
        """Sync and close the segment, so that every record is in a complete one."""
        with self._guard:
            if self._descriptor >= 0:
                self._close_segment()
        with suppress(OSError):
            self.sync()
        os.close(self._lock)


def _lines(content: bytes, number: int, begin: int) -> Iterator[tuple[bytes, Position]]:
    """Yield the complete lines of a part of a segment, each with the position after it."""
    for line in content.split(b"\n")[:-1]:
        begin += len(line) + 1
        yield line, Position(number, begin)
