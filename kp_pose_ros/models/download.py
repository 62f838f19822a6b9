# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads one file over HTTP: resumes after an interruption, and verifies the result."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from kp_pose_ros.errors import ModelError, printable
from kp_pose_ros.models.cache import VARIABLE, content_hash
from kp_pose_ros.resources import read_file, replace_file

_ATTEMPTS = 5
_PAUSE = 1.0  # seconds between two attempts
_TIMEOUT = 30.0  # seconds without a byte
_DEADLINE = 3600.0  # seconds in total, since a server may send a byte now and then
_LARGEST = 2**32  # bytes; the largest pose checkpoints have 140 MB
_CHUNK = 1 << 16
_NETWORK_PROBLEMS = (
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,
    ssl.SSLError,
    urllib.error.URLError,
)
_RANGE_IMPOSSIBLE = 416
_SERVER_ERRORS = 500  # and up: errors of the server, which may be temporary


def download(url: str, target: Path, sha256: str | None) -> None:
    """Download a file, with a progress bar.

    The part received so far is in `target`.part, so that a later call can resume.

    Args:
        url: an http or https address.
        target: path of the file; it appears there complete and verified, or not at all.
        sha256: its expected SHA-256 in hexadecimal; None accepts any.

    Raises:
        ModelError: the server does not send the file, the connection keeps breaking, the
            file has another checksum or cannot be written.
    """
    part = _Part(target)
    try:
        _download_all(url, part)
        found = content_hash(part.path)
        if sha256 is not None and found != sha256.lower():
            part.discard()
            raise ModelError(
                f"{url} has the SHA-256 {found}: expected {sha256.lower()}, so the file was "
                "replaced or damaged, and is not used"
            )
        part.path.replace(target)
        part.discard()
    except OSError as error:
        raise ModelError(
            f"{target} cannot be written ({error.strerror}): set the environment variable "
            f"{VARIABLE} to another folder"
        ) from error


class _Part:
    """A partly downloaded file, and the version of it that the server sent."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._version = target.with_name(f"{target.name}.part.version")

    @property
    def size(self) -> int:
        with suppress(FileNotFoundError):
            return self.path.lstat().st_size
        return 0

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest if the version is known, else for everything."""
        with suppress(OSError, UnicodeDecodeError):
            version = read_file(self._version, 1000).decode("ascii")
            if self.size and version.isprintable():
                return {"Range": f"bytes={self.size}-", "If-Range": version}
        return {}

    def note_version(self, headers: http.client.HTTPMessage) -> None:
        """Store the ETag or date of the version that the server sends, if it has either."""
        tag = headers.get("ETag", "")
        version = tag if tag.startswith('"') else headers.get("Last-Modified")
        if version and version.isascii() and version.isprintable():
            with replace_file(self._version) as stream:
                stream.write(version.encode())
        else:
            self._version.unlink(missing_ok=True)

    @contextmanager
    def open(self, *, append: bool) -> Iterator[BinaryIO]:
        """Open the file for writing; a link or another user's file is removed first."""
        with suppress(FileNotFoundError):
            found = self.path.lstat()
            is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid()
            if not append or not is_own or found.st_nlink > 1:
                self.path.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, 0o600), "ab") as stream:
            yield stream

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https addresses; never from https to http."""

    def redirect_request(  # noqa: PLR0917  as urllib calls it
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, url: str
    ) -> Any:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(url).scheme not in allowed:
            raise ModelError(f"{req.full_url} is redirected to {url}: expected {allowed[-1]}://")
        return super().redirect_request(req, fp, code, msg, headers, url)


def _download_all(url: str, part: _Part) -> None:
    """Fill `part`; after a network error, try again, up to `_ATTEMPTS` times in all."""
    deadline = time.monotonic() + _DEADLINE
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_rest(url, part, deadline)
            return
        except _NETWORK_PROBLEMS as error:
            code = error.code if isinstance(error, urllib.error.HTTPError) else _SERVER_ERRORS
            if code == _RANGE_IMPOSSIBLE:
                part.discard()
            elif code < _SERVER_ERRORS:
                raise ModelError(f"{url} cannot be fetched: the server answers {error}") from error
            if attempt == _ATTEMPTS or time.monotonic() > deadline:
                reason = getattr(error, "reason", error)
                what = f"broke off after {part.size} bytes" if part.size else "cannot be fetched"
                raise ModelError(
                    f"{url} {what} ({reason}): check the network and run the same command again, "
                    "which continues from there"
                ) from error
            time.sleep(_PAUSE)
        except OSError:
            raise
        except Exception as error:  # urllib lets ValueError and UnicodeError through
            part.discard()
            raise ModelError(f"{url} cannot be fetched: {error}") from error


def _download_rest(url: str, part: _Part, deadline: float) -> None:
    """Append what is missing, or write everything if the server cannot resume."""
    headers = {"User-Agent": "kp_pose_ros", **part.headers()}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  the caller checks it
    with urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT) as response:
        start = _start(response, part, asked="Range" in headers)
        if start == 0:
            part.note_version(response.headers)
        total = None if response.length is None else start + response.length
        if (total or 0) > _LARGEST:
            raise _too_large(part)
        with (
            part.open(append=start > 0) as stream,
            tqdm(
                total=total,
                initial=start,
                unit="B",
                unit_scale=True,
                desc=printable(part.path.stem),
            ) as bar,
        ):
            while chunk := response.read1(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
                if stream.tell() > _LARGEST:
                    raise _too_large(part)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it took longer than {_DEADLINE:.0f} seconds")
    if total is not None and part.size < total:
        raise http.client.IncompleteRead(b"", total - part.size)
    if part.size == 0:
        raise ModelError("the server sent an empty file: expected a model")


def _start(response: http.client.HTTPResponse, part: _Part, *, asked: bool) -> int:
    """Return the offset in the file at which a response begins."""
    if response.status == http.HTTPStatus.OK:
        return 0
    start = re.match(r"bytes (\d{1,12})-", response.headers.get("Content-Range", ""))
    is_rest = response.status == http.HTTPStatus.PARTIAL_CONTENT and asked
    if is_rest and start and int(start[1]) == part.size:
        return part.size
    part.discard()
    raise ModelError(
        f"the server answers with status {response.status} {response.reason} and the range "
        f"{response.headers.get('Content-Range')}: expected the file, or the rest of it"
    )


def _too_large(part: _Part) -> ModelError:
    part.discard()
    return ModelError(f"the server sent more than {_LARGEST} bytes: expected a model")
