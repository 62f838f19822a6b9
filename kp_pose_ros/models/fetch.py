# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints: their addresses, and the folder with those that were fetched."""

from __future__ import annotations

import logging
import os
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.cache import VARIABLE, cache_folder, content_hash, locked

LICENCE = "AGPL-3.0, by Ultralytics (https://www.ultralytics.com/license)"
MODELS_VARIABLE = "KP_POSE_MODELS"
SUFFIXES = (".pt", ".onnx", ".engine", ".zip")

_log = logging.getLogger(__name__)
_RELEASES = "https://github.com/ultralytics/assets/releases/download"
_RTMO = "https://download.openmmlab.com/mmpose/v1/projects/rtmo/onnx_sdk"
_RTMO_LICENCE = (
    "the code is Apache-2.0, by OpenMMLab (https://github.com/open-mmlab/mmpose); no licence is "
    "stated for the weights, which were trained on data sets with their own terms"
)


class Source(NamedTuple):
    """The source of a model file."""

    url: str
    sha256: str | None  # the expected one, if known
    licence: str | None  # and its author, if known
    name: str | None = None  # the file name to store it under; None: the last part of the address

    @property
    def file_name(self) -> str:
        """The file name to store it under."""
        return self.name or _file_name(self.url)


def _ultralytics(name: str, sha256: str | None = None, release: str = "v8.3.0") -> Source:
    return Source(f"{_RELEASES}/{release}/{name}.pt", sha256, LICENCE)


# GitHub publishes no checksums for these releases. Those of yolo11 are from Ultralytics' own
# repository huggingface.co/Ultralytics/YOLO11; that of yolo11n-pose was also checked against a copy
# of the file. Those of yolov8 are from unrelated projects that pin or store the files of this
# release (n: many; s: huggingface.co/spaces/shihabsarar29/pose-estimation and, on GitHub,
# zhujinpeng169-web/badminton-trajectory-analysis-platform; m: pedramsalimi/MAYANHSDEMO on GitHub).
# For the other models no such source is known; `kp_pose fetch` prints the checksum that it found.
_CHECKSUMS: dict[str, str] = {
    "yolov8n-pose": "c6fa93dd1ee4a2c18c900a45c1d864a1c6f7aba75d84f91648a30b7fb641d212",
    "yolov8s-pose": "234314cd8baf62616791aceb9ea6ad5c19f26cf6c0d8f3a1bfce1e23b186cfb3",
    "yolov8m-pose": "dbe539ea268db2534390942cfdf206e521f376f19e5415967a57f6a2ddfa3c90",
    "yolo11n-pose": "869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0",
    "yolo11s-pose": "1060bda4a27012060eca246f9b2adeea22eabb045a1e58f8d229be29b7ebc2ba",
    "yolo11m-pose": "29b17eaf3a3117cbea906090dbedf9159f7c6a49db58ec8b99ed2dfde1cf6eb2",
    "yolo11l-pose": "61921abe1f2ed930bf28328a16b3162278cdb239a1e8280b6ac827119f13cee0",
    "yolo11x-pose": "013c43543b0751b8918486ba96e01ee44a59040683a07f96cc22bcc2cb7785f8",
}
# The release with a family's files is the one that ultralytics itself downloads from.
_YOLO = {"yolov8": "v8.3.0", "yolo11": "v8.3.0", "yolo26": "v8.4.0"}
# As https://github.com/open-mmlab/mmpose/blob/main/projects/rtmo/README.md lists them.
_RTMO_FILES = {
    "rtmo-t": "rtmo-t_8xb32-600e_body7-416x416-f48f75cb_20231219.zip",
    "rtmo-s": "rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211.zip",
    "rtmo-m": "rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211.zip",
    "rtmo-l": "rtmo-l_16xb16-600e_body7-640x640-b37118ce_20231211.zip",
}
_PUBLISHED: dict[str, Source] = {
    **{
        name: _ultralytics(name, _CHECKSUMS.get(name), release)
        for family, release in _YOLO.items()
        for name in (f"{family}{size}-pose" for size in "nsmlx")
    },
    **{
        name: Source(f"{_RTMO}/{file}", None, _RTMO_LICENCE, f"{name}.zip")
        for name, file in _RTMO_FILES.items()
    },
}
PUBLISHED = tuple(_PUBLISHED)


def find_source(name_or_url: str, sha256: str | None = None) -> Source:
    """Return where to fetch a published checkpoint, or the file at an address.

    Args:
        name_or_url: one of `PUBLISHED`, or an http or https address.
        sha256: the file's expected SHA-256, if the caller knows it.

    Raises:
        ModelError: it is neither, or the file at the address would be stored under the name of a
            published checkpoint, and no checksum can show that it is that checkpoint.
    """
    if name_or_url in _PUBLISHED:
        source = _PUBLISHED[name_or_url]
        return source._replace(sha256=sha256 or source.sha256)
    _check_address(name_or_url)
    file_name = _file_name(name_or_url)
    if Path(file_name).stem in _PUBLISHED:
        return _copy_of_published(name_or_url, file_name, sha256)
    return Source(name_or_url, sha256, None)


def _copy_of_published(url: str, file_name: str, sha256: str | None) -> Source:
    """Return the source of a file with a published name, if a checksum can verify it."""
    name = Path(file_name).stem
    source = _PUBLISHED[name]
    published = source.sha256 if file_name == source.file_name else None
    wanted = published or sha256
    if wanted is None or (sha256 or wanted).lower() != wanted.lower():
        raise ModelError(
            f"{url} would be stored under the name of the published checkpoint {name}, but no "
            f"checksum shows that it is that checkpoint: run `kp_pose fetch {name}`, give the file "
            "another name, or state its checksum with --sha256"
        )
    return Source(url, wanted, source.licence if published else None)


def fetch(source: Source) -> Path:
    """Download a model file into the folder of fetched models, and return its path.

    An existing file is not fetched again, unless its checksum is wrong.

    Raises:
        ModelError: the file cannot be downloaded, has another checksum, or cannot be written.
    """
    from kp_pose_ros.models.download import download  # here: importing HTTP takes long

    target = fetched_folder() / source.file_name
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(target.with_name(f".{target.name}.lock")):
            if not _is_there(target, source.sha256):
                download(source.url, target, source.sha256)
    except OSError as error:
        raise ModelError(
            f"the folder {target.parent} cannot be written ({error.strerror}): set the environment "
            f"variable {VARIABLE} to a folder that can"
        ) from error
    return target


def _is_there(target: Path, sha256: str | None) -> bool:
    if not target.is_file() or (sha256 is not None and content_hash(target) != sha256.lower()):
        return False
    _log.info("%s exists already; delete it to fetch it again", target)
    return True


def fetched_folder() -> Path:
    """Return the folder of fetched models."""
    return cache_folder() / "models"


def find_fetched(name: str) -> Path | None:
    """Return the path of a fetched model, given its file's name without the suffix.

    This searches the folder of fetched models, then those in $KP_POSE_MODELS (separated by `:`).
    """
    more = filter(None, os.environ.get(MODELS_VARIABLE, "").split(os.pathsep))
    folders = (fetched_folder(), *map(Path, more))
    paths = (folder / f"{name}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _check_address(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # unbalanced brackets, a port that is not a number
        is_address = False
    if not is_address:
        raise ModelError(
            f"{url!r} cannot be fetched: expected an http or https address, or one of "
            f"{', '.join(PUBLISHED)}"
        )
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ModelError(
            f"{url!r} cannot be fetched: expected a percent-encoded address, without spaces "
            "and letters beyond ASCII, as a browser copies it"
        )


def _file_name(url: str) -> str:
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    name = path.rpartition("/")[2]
    if Path(name).suffix not in SUFFIXES or "\\" in name or not name.isprintable():
        raise ModelError(
            f"the address {url} ends in {name!r}: expected the address of a "
            f"{', '.join(SUFFIXES)} file"
        )
    return name
