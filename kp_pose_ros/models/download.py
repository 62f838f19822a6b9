# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Downloads one file over HTTP: goes on where it was broken off, and checks what came."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.cache import VARIABLE, content_hash

_ATTEMPTS = 5
_PAUSE = 1.0  # seconds between two attempts
_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 16
_NETWORK_PROBLEMS = (
    ConnectionError,
    TimeoutError,
    http.client.HTTPException,
    ssl.SSLError,
    urllib.error.URLError,
)
_RANGE_IMPOSSIBLE = 416
_SERVER_ERRORS = 500  # and up: the server's trouble, which may pass


def download(url: str, target: Path, sha256: str | None) -> None:
    """Download a file, with a progress bar.

    What has come lies in `target`.part, so that a later call goes on from there.

    Args:
        url: an http or https address.
        target: where the file shall be; it appears there whole and checked, or not at all.
        sha256: what its SHA-256 must be, in hexadecimal; None takes any.

    Raises:
        ModelError: the server does not give the file, the connection breaks again and again, the
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
    """The beginning of a file that is on its way, and which version of it the server had."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._version = target.with_name(f"{target.name}.part.version")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Return what to ask for: the rest if the version is known, else everything."""
        if self.size == 0 or not self._version.exists():
            return {}
        version = self._version.read_text(encoding="latin-1")
        return {"Range": f"bytes={self.size}-", "If-Range": version}

    def note_version(self, headers: http.client.HTTPMessage) -> None:
        """Keep what names the version that the server sends, if anything does."""
        tag = headers.get("ETag", "")
        version = tag if tag.startswith('"') else headers.get("Last-Modified")
        if version:
            self._version.write_text(version, encoding="latin-1")
        else:
            self._version.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)


def _download_all(url: str, part: _Part) -> None:
    """Fill `part`, in as many attempts as it takes."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download_rest(url, part)
            return
        except _NETWORK_PROBLEMS as error:
            code = error.code if isinstance(error, urllib.error.HTTPError) else _SERVER_ERRORS
            if code == _RANGE_IMPOSSIBLE:
                part.discard()
            elif code < _SERVER_ERRORS:
                raise ModelError(f"{url} cannot be fetched: the server says {error}") from error
            if attempt == _ATTEMPTS:
                reason = getattr(error, "reason", error)
                what = f"broke off after {part.size} bytes" if part.size else "cannot be fetched"
                raise ModelError(
                    f"{url} {what} ({reason}): check the network and run the same command again, "
                    "which goes on from there"
                ) from error
            time.sleep(_PAUSE)


def _download_rest(url: str, part: _Part) -> None:
    """Append what is missing, or write everything if the server cannot go on."""
    headers = {"User-Agent": "kp_pose_ros", **part.headers()}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  the caller checks it
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
        start = part.size if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        if start == 0:
            part.note_version(response.headers)
        total = None if response.length is None else start + response.length
        with (
            part.path.open("ab" if start else "wb") as stream,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.path.stem) as bar,
        ):
            while chunk := response.read(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.size < total:
        raise http.client.IncompleteRead(b"", total - part.size)
