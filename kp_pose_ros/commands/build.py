# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose build`: builds a TensorRT engine into the cache, where the node finds it."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from kp_pose_ros.commands.estimator_arguments import add_max_batch_argument, number
from kp_pose_ros.commands.info import add_model_arguments, add_size_argument
from kp_pose_ros.errors import SettingsError, show
from kp_pose_ros.inference.progress import Progress, ProgressBar, ProgressLog
from kp_pose_ros.inference.tensorrt.gpu import Gpu
from kp_pose_ros.models.model import PoseModel, Size, open_model


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose build`."""
    parser = subparsers.add_parser(
        "build",
        help="build a model's TensorRT engine for this GPU",
        description="Builds the engine that the node would otherwise build at startup. Use the "
        "same model, size, precision and batch size as the node. An .engine file is only checked.",
    )
    add_model_arguments(parser)
    size = parser.add_mutually_exclusive_group()
    add_size_argument(size)
    size.add_argument(
        "--camera",
        type=number(int, 1, 65535),
        nargs=2,
        metavar=("H", "W"),
        help="choose the input size for camera images of this size",
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--fp32", action="store_true", help="float32 instead of float16")
    precision.add_argument(
        "--int8",
        action="store_true",
        help="INT8 (experimental); the first build needs --calibration",
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", help="folder of images from the camera"
    )
    add_max_batch_argument(parser, "largest batch; default: 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Build the engine, load it, and print its path."""
    if args.calibration is not None and not args.int8:
        raise SettingsError("--calibration is given without --int8: expected both or neither")
    model = open_model(args.model, args.skeleton, args.layout)
    imgsz = tuple(args.imgsz) if args.imgsz else None
    size = model.network_size(tuple(args.camera or model.metadata.imgsz), imgsz)
    progress = ProgressBar(sys.stderr) if sys.stderr.isatty() else ProgressLog()
    with closing(Gpu()) as gpu:
        show(_build(model, size, gpu, progress, args))
    return 0


def _build(
    model: PoseModel, size: Size, gpu: Gpu, progress: Progress, args: argparse.Namespace
) -> Path:
    # These import only if TensorRT is installed, which is known by now.
    from kp_pose_ros.inference.tensorrt.builder import BuildOptions
    from kp_pose_ros.inference.tensorrt.plans import NetworkSource
    from kp_pose_ros.inference.tensorrt.quantize import calibrate

    if args.calibration is not None:
        calibrate(model, size, args.calibration)
    precision = "int8" if args.int8 else "fp32" if args.fp32 else "fp16"
    source = NetworkSource(model, BuildOptions(args.max_batch, precision), gpu, progress)
    with gpu.current():
        network = source.open(size)
        network.close()
        return network.plan
