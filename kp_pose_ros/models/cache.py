# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cache folder: files that take a while to make, named after everything they depend on.

The SHA-256 of a file is kept next to it; an incomplete file is made again. If two processes need
the same file at the same time, only one makes it, because it holds a lock. A cache that cannot be
written, such as one on a read-only image, can still be read; files that it lacks go to a folder in
the directory for temporary files. A cache that other users can write to is not used at all, because
they could replace a file together with its checksum.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TextIO

from kp_pose_ros.errors import ModelError
from kp_pose_ros.resources import open_regular, read_file, replace_file

VARIABLE = "KP_POSE_CACHE"

_CHUNK = 1 << 20
Accept = Callable[[str], bool]
Waiting = Callable[[], AbstractContextManager[None]]
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return $KP_POSE_CACHE, else $XDG_CACHE_HOME/kp_pose_ros, else ~/.cache/kp_pose_ros.

    If other users can write to that folder, this returns `substitute_folder()` and logs a warning.

    Raises:
        ModelError: there is no home folder, and no variable names another one; or others can write
            to the substitute, too.
    """
    folder = _configured_folder()
    found = next((each for each in (folder, *folder.parents) if not _is_safe(each, folder)), None)
    if found is None:
        return folder
    problem = (
        f"the cache folder {folder} is not used, because other users can change what is in {found}"
    )
    mend = f"set the environment variable {VARIABLE} to a folder that only you can write to"
    try:
        substitute = substitute_folder()
        substitute.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"{problem}, nor can a temporary folder be ({error.strerror}): {mend}"
        ) from error
    _warn_once(f"{problem}: using {substitute} instead; {mend}")
    return substitute


def _configured_folder() -> Path:
    if own := os.environ.get(VARIABLE):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the XDG specification: ignore it otherwise
        return shared / "kp_pose_ros"
    try:
        return Path.home() / ".cache" / "kp_pose_ros"
    except RuntimeError as error:
        raise ModelError(
            f"there is no home folder for prepared models: set {VARIABLE} to a writable folder"
        ) from error


def _is_safe(folder: Path, cache: Path) -> bool:
    """Whether only this user and root can change which files lie in a folder (as ssh checks keys).

    The folder that $KP_POSE_CACHE names may belong to another user, since a robot's engines are
    often built by one user and run by another. A folder above the cache may be writable for all if
    it is sticky, as /tmp is. A group with the owner's own number has no other members (Debian's
    default).
    """
    try:
        found = folder.stat()
    except OSError:
        return True  # it does not exist yet, or cannot be used anyway
    shared = found.st_mode & stat.S_IWOTH or (
        found.st_mode & stat.S_IWGRP and found.st_gid not in (0, found.st_uid)
    )
    is_sticky = found.st_mode & stat.S_ISVTX and folder != cache
    is_named = folder == cache and bool(os.environ.get(VARIABLE))
    is_trusted = found.st_uid in (0, os.getuid()) or is_named
    return is_trusted and (not shared or bool(is_sticky))


@functools.cache
def _warn_once(text: str) -> None:
    _log.warning("%s", text)


def content_hash(*files: Path) -> str:
    """Return the SHA-256 of the files' contents, one after the other, in hexadecimal.

    Raises:
        ModelError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            with open_regular(file) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _accept_any(_sha256: str) -> bool:
    return True


def cached(
    name: str,
    make: Callable[[], bytes],
    *,
    accept: Accept = _accept_any,
    waiting: Waiting = nullcontext,
) -> Path:
    """Return the path of a file in the cache; make the file if it is missing.

    Where the cache folder cannot be written, the file goes to `substitute_folder()`, and a warning
    says so.

    Args:
        name: the file's name; it must state everything that the content depends on.
        make: returns the content.
        accept: returns whether the content with this SHA-256 will do; if not, it is made anew.
        waiting: makes what is entered while another process makes the file.

    Raises:
        ModelError: no folder can be written. What `make` raises passes through.
    """
    if found := find_cached(name, accept):
        return found[0]
    path = cache_folder() / name
    make_once = functools.cache(make)  # do not build twice if the first folder cannot be written
    keep = functools.partial(_keep, make=make_once, accept=accept, waiting=waiting)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return keep(path)
    except OSError as error:
        problem = f"the cache folder {path.parent} cannot be written ({error.strerror})"
        mend = f"set the environment variable {VARIABLE} to a folder that can"
    try:
        substitute = substitute_folder() / name
        _log.warning("%s: using %s instead; %s", problem, substitute, mend)
        substitute.parent.mkdir(mode=0o700, exist_ok=True)
        return keep(substitute)
    except OSError as error:
        raise ModelError(
            f"{problem}, nor can a temporary folder ({error.strerror}): {mend}"
        ) from error


def find_cached(name: str, accept: Accept = _accept_any) -> list[Path]:
    """Return the complete files with a name: in the cache folder, then in the substitute.

    `accept` is that of `cached`.
    """
    paths = [cache_folder() / name]
    with suppress(OSError):
        paths.append(substitute_folder() / name)
    return [path for path in paths if _will_do(path, accept)]


def remove(path: Path) -> None:
    """Remove a file from the cache, with its checksum; raises OSError."""
    path.unlink()
    _checksum_file(path).unlink(missing_ok=True)


def substitute_folder() -> Path:
    """Return this user's folder among the temporary files, which may not exist yet.

    Raises:
        PermissionError: another user made it or can write to it, so its files cannot be trusted.
    """
    folder = Path(tempfile.gettempdir()) / f"kp_pose_ros-{os.getuid()}"
    with suppress(FileNotFoundError):
        found = folder.lstat()
        is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        if not is_own or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(errno.EPERM, f"others may write to {folder}")
    return folder


def _keep(path: Path, *, make: Callable[[], bytes], accept: Accept, waiting: Waiting) -> Path:
    with locked(path.with_name(f".{path.name}.lock"), waiting):
        if not _will_do(path, accept):
            if path.exists() and not _sha256_of_whole(path):
                _log.warning("the cached file %s is damaged and will be recreated", path)
            _write(path, make())
    return path


def _will_do(path: Path, accept: Accept) -> bool:
    sha256 = _sha256_of_whole(path)
    return sha256 is not None and accept(sha256)


def _sha256_of_whole(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it is missing, incomplete or damaged."""
    try:
        sha256 = read_file(_checksum_file(path), 64).decode("ascii")
        return sha256 if sha256 == content_hash(path) else None
    except (OSError, UnicodeDecodeError, ModelError) as error:
        if reason := _exhausted(error):
            raise ModelError(f"{path} cannot be read: {reason}") from error
        return None


def _exhausted(error: Exception) -> str:
    """Return what this process or machine has no more of; empty if a file is at fault."""
    # Not a variable of the caller: its frame, which the traceback has, would keep the error, and so
    # all that its callers hold, such as networks.
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.errno in _EXHAUSTED:
        return str(cause.strerror)
    return ""


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write(path: Path, content: bytes) -> None:
    """Write a file and its checksum so that no reader ever sees an incomplete one."""
    checksum = hashlib.sha256(content).hexdigest().encode()
    for target, data in ((path, content), (_checksum_file(path), checksum)):
        with replace_file(target) as stream:
            stream.write(data)


@contextmanager
def locked(path: Path, waiting: Waiting = nullcontext) -> Iterator[None]:
    """Hold a lock between processes; it ends with the process, even if that is killed.

    The file at `path` exists only while a process holds the lock or waits for it. While this one
    waits, it is inside of what `waiting` makes.
    """
    while True:
        with path.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.info("waiting for another process that has locked %s", path)
                with waiting():
                    fcntl.flock(stream, fcntl.LOCK_EX)
            if not _is_open_as(stream, path):
                continue  # its holder has removed the file: others now lock a new one
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_open_as(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
