# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of every command that finds poses, named as the node's parameters are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from kp_pose_ros.commands.info import add_layout_argument
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import EstimatorSettings
from kp_pose_ros.settings import ENGINES, build, settings_of

_LARGEST_BATCH = 1024  # more than any tool takes


def add_estimator_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `estimator_settings` reads."""
    parser.add_argument(
        "--model",
        type=Path,
        default="yolo11n-pose",
        help="model file, or the name of a fetched model; default: yolo11n-pose",
    )
    parser.add_argument(
        "--skeleton",
        type=Path,
        help="skeleton file, or the name of a shipped one; default: from the model file",
    )
    add_layout_argument(parser)
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", help="default: auto, the fastest one here"
    )
    parser.add_argument(
        "--device", default="CPU", help="device for OpenVINO: CPU, GPU or NPU; default: CPU"
    )
    parser.add_argument(
        "--providers",
        nargs="+",
        default=(),
        metavar="NAME",
        help="execution providers for ONNX Runtime, such as CUDA; default: the CPU",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp16",
        help="precision for TensorRT; default: fp16",
    )
    parser.add_argument(
        "--imgsz",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="height and width of the network's input; default: chosen for the shape of the images",
    )
    for name, each in settings_of(DecodeSettings).items():
        kind = int if isinstance(each.default, int) else float
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=number(kind, *each.limits),  # type: ignore[misc]  # all are numbers
            default=each.default,
            metavar="0..1" if kind is float else "N",
            help=f"{each.description} Default: {each.default}",
        )


def estimator_settings(args: argparse.Namespace, max_batch: int = 1) -> EstimatorSettings:
    """Return the settings given by the arguments of `add_estimator_arguments`."""
    return EstimatorSettings(
        model=args.model,
        skeleton=args.skeleton,
        engine=args.engine,
        layout=args.layout,
        device=args.device,
        providers=tuple(args.providers),
        imgsz=tuple(args.imgsz) if args.imgsz else None,
        precision=args.precision,
        max_batch=max_batch,
        decode=build(DecodeSettings, vars(args)),
    )


def add_max_batch_argument(
    parser: argparse.ArgumentParser, about: str, default: int | None = 1
) -> None:
    """Add `--max-batch`, described by `about`."""
    parser.add_argument(
        "--max-batch",
        type=number(int, 1, _LARGEST_BATCH),
        default=default,
        metavar="N",
        help=about,
    )


def check_new_file(path: Path) -> None:
    """Check that a file can be made, before the work whose result it will hold.

    Raises:
        SettingsError: it exists, or its folder does not.
    """
    if path.exists():
        raise SettingsError(f"{path} exists: choose a new file")
    if not path.parent.is_dir():
        raise SettingsError(f"{path} cannot be written: expected a file in an existing folder")


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return a type for argparse: numbers of a kind from `low` to `high`."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    parse.__name__ = "whole number" if kind is int else "number"
    return parse
