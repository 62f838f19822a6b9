# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose fetch`: downloads a checkpoint. The node itself never downloads anything."""

from __future__ import annotations

import argparse
import re
from typing import Any

from kp_pose_ros.errors import show
from kp_pose_ros.models.cache import content_hash
from kp_pose_ros.models.fetch import PUBLISHED, fetch, find_source


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose fetch`."""
    parser = subparsers.add_parser(
        "fetch",
        help="download a model",
        description="Downloads a model into the cache folder, where the node and all commands "
        f"find it by name. Published models: {', '.join(PUBLISHED)}.",
    )
    parser.add_argument("source", metavar="NAME|URL", help="published model, or URL of a file")
    parser.add_argument(
        "--sha256", type=_checksum, metavar="H", help="expected SHA-256 of the file"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fetch, and print the path, the checksum and the licence."""
    source = find_source(args.source, args.sha256)
    path = fetch(source)
    show(path)
    if source.sha256 is None:
        show(
            f"The file was not verified: no checksum is known. Its SHA-256 is {content_hash(path)}."
        )
    show(f"Licence of the weights: {source.licence or 'ask their publisher'}.")
    show(f"To use it: kp_pose info {path.stem}")
    return 0


def _checksum(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 64 hexadecimal digits")
    return text
