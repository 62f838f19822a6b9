# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose info`: prints the metadata and keypoints of a model."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from kp_pose_ros.errors import show
from kp_pose_ros.models.layouts import NAMED_LAYOUTS, Layout
from kp_pose_ros.models.model import PoseModel, open_model

_LAYOUTS = {
    Layout.RAW: "raw: one column per anchor; the prepared graph selects candidates",
    Layout.TRANSPOSED: "transposed: one row per anchor; the prepared graph selects candidates",
    Layout.DEEPSTREAM: "deepstream: one row per anchor, with box corners",
    Layout.YOLOV7: "yolov7: one row per anchor, with an objectness score before the class scores",
    Layout.RTMO: "rtmo: separate boxes and keypoints, no NMS needed; input is BGR, 0 to 255",
    Layout.CANDIDATES: "candidates: already prepared; NMS follows",
    Layout.ROWS: "rows: one row per person, no NMS needed",
}
_NUMBERS = {2: "x y", 3: "x y score"}


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose info`."""
    parser = subparsers.add_parser(
        "info", help="print a model's classes, keypoints, input size and output layout"
    )
    add_model_arguments(parser)
    parser.set_defaults(run=run)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `open_model` takes: a model, --skeleton and --layout."""
    parser.add_argument("model", metavar="MODEL", help="model file, or the name of a fetched model")
    parser.add_argument("--skeleton", help="skeleton file, or the name of a shipped one")
    add_layout_argument(parser)


def add_size_argument(parser: Any) -> None:
    """Add --imgsz to a parser, or to a group of arguments."""
    parser.add_argument(
        "--imgsz",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="height and width of the network's input; default: the model's own size",
    )


def add_layout_argument(parser: argparse.ArgumentParser) -> None:
    """Add --layout, for model files whose output layout is ambiguous."""
    parser.add_argument(
        "--layout",
        choices=NAMED_LAYOUTS,
        default="auto",
        help="layout of the model's output; default: detected from the file",
    )


def run(args: argparse.Namespace) -> int:
    """Print two tables: the model, and its keypoints."""
    model = open_model(args.model, args.skeleton, args.layout)
    facts = [f"{name:<12}{value}" for name, value in _facts(model)]
    keypoints = [
        f"{index:>3}  {name:<20}{_neighbours(model, index)}".rstrip()
        for index, name in enumerate(model.skeleton.keypoint_names)
    ]
    show(*facts, "", "keypoints, and those that edges connect them to", *keypoints)
    return 0


def _facts(model: PoseModel) -> Iterator[tuple[str, str]]:
    metadata, skeleton = model.metadata, model.skeleton
    count, numbers = metadata.kpt_shape
    height, width = metadata.imgsz
    yield "file", f"{model.path} ({model.path.stat().st_size / 1e6:.1f} MB)"
    yield "task", "pose"
    yield "classes", ", ".join(metadata.class_names)
    yield "keypoints", f"{count} of {_NUMBERS[numbers]}"
    yield "skeleton", f"{skeleton.name}, {len(skeleton.edges)} edges"
    free = "" if metadata.size_is_static else f"; any multiples of {metadata.stride}"
    yield "input", f"{height} x {width} (height x width){free}"
    yield "channels", "3, RGB" if metadata.channels == 3 else "1, grey"
    yield "batch", "any" if metadata.batch is None else str(metadata.batch)
    yield "layout", _LAYOUTS[metadata.layout]


def _neighbours(model: PoseModel, index: int) -> str:
    """Return the names of the keypoints that an edge connects to this one."""
    names = model.skeleton.keypoint_names
    joined = [edge for edge in model.skeleton.edges if index in edge]
    return ", ".join(names[end] for edge in joined for end in edge if end != index)
