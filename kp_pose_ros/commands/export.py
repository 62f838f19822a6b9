# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose export`: writes the graph that engines run, for use elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kp_pose_ros.commands.estimator_arguments import add_max_batch_argument
from kp_pose_ros.commands.info import add_model_arguments, add_size_argument
from kp_pose_ros.errors import SettingsError, printable, show
from kp_pose_ros.models.model import open_model
from kp_pose_ros.models.precision import Precision
from kp_pose_ros.resources import replace_file


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose export`."""
    parser = subparsers.add_parser(
        "export",
        help="write the ONNX graph that the engines run",
        description="Writes the ONNX graph that the engines run, with float32 input and output "
        "and one candidate per output row. The node does not need this file; it is for other "
        "tools.",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="ONNX file to write; default: named after the model and the size",
    )
    add_size_argument(parser)
    parser.add_argument("--fp16", action="store_true", help="float16 weights and activations")
    add_max_batch_argument(
        parser, "fixed batch size, which some tools need; default: dynamic", default=None
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file and say where it is."""
    if args.output is not None:
        _check_output(args.output)
    model = open_model(args.model, args.skeleton, args.layout)
    imgsz = tuple(args.imgsz) if args.imgsz else None
    height, width = model.network_size(model.metadata.imgsz, imgsz)
    precision: Precision = "fp16" if args.fp16 else "fp32"
    path = args.output or Path(f"{model.path.stem}-{height}x{width}-{precision}.onnx")
    if path.exists() and path.samefile(model.path):
        raise SettingsError(f"{path} is the model itself: choose another file with --output")
    with tqdm(total=2, desc=printable(f"exporting {path.name}"), unit="step") as progress:
        graph = model.make_graph((height, width), precision, batch=args.max_batch)
        progress.update()
        _write(path, graph.SerializeToString())
        progress.update()
    show(path)
    return 0


def _check_output(path: Path) -> None:
    if path.suffix.lower() != ".onnx":
        raise SettingsError(f"--output is {path}: expected the name of an .onnx file")
    if path.is_dir() or not path.parent.is_dir():
        raise SettingsError(f"{path} cannot be written: expected a file in an existing folder")


def _write(path: Path, content: bytes) -> None:
    try:
        with replace_file(path) as stream:
            stream.write(content)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({error.strerror}): choose another file with --output"
        ) from error
