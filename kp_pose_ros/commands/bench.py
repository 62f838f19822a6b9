# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose bench`: the speed of the node, its network alone and a minimal relay."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from kp_pose_ros.bench.measure import Rounds, network_rate
from kp_pose_ros.bench.report import facts_table, results_table
from kp_pose_ros.commands.estimator_arguments import (
    add_estimator_arguments,
    estimator_settings,
    number,
)
from kp_pose_ros.errors import INTERRUPTED, SettingsError, show
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.inference.cores import CoreWatch
from kp_pose_ros.inference.factory import make_estimator
from kp_pose_ros.inference.letterbox import Letterbox

if TYPE_CHECKING:
    from kp_pose_ros.bench.node import NodeUnderTest

MAX_PICTURES = 16
_PATIENCE = 8.0  # seconds after an interruption
_OVERLAYS = {"without": [False], "with": [True], "both": [False, True]}
# The arguments that are one number: name, type, limits, default, unit and meaning.
_NUMBERS: tuple[tuple[str, type[int] | type[float], tuple[float, float], float, str, str], ...] = (
    ("seconds", float, (0.1, 3600), 1.0, "N", "length of each turn"),
    ("rounds", int, (1, 1000), 12, "N", "number of turns of each program"),
    ("rate", float, (0, 1000), 0.0, "HZ", "frames/s of each camera; 0: as fast as answered"),
    ("cameras", int, (1, 64), 1, "N", "number of cameras, and of frames in a batch"),
    ("smoothing", float, (0, 10), 0.0, "S", "the parameter tracking.smoothing"),
)


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose bench`."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the node on this machine: latency, throughput, CPU, memory and power",
        description="Runs the network alone, a minimal rclpy relay and the node in short turns on "
        "the same frames, and prints Markdown. A camera in another process keeps two frames in "
        "flight, or sends at --rate.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="pictures of people")
    add_estimator_arguments(parser)
    parser.add_argument(
        "--size",
        type=number(int, 16, 16384),
        nargs=2,
        default=(720, 1280),
        metavar=("H", "W"),
        help="size of the camera images; default: 720 1280",
    )
    for name, kind, limits, default, unit, about in _NUMBERS:
        parser.add_argument(
            f"--{name}",
            type=number(kind, *limits),
            default=default,
            metavar=unit,
            help=f"{about}; default: {default}",
        )
    parser.add_argument(
        "--overlay",
        choices=_OVERLAYS,
        default="both",
        help="run the node with or without a subscriber to annotated; default: both",
    )
    parser.add_argument(
        "--depth",
        action="store_true",
        help="send a depth image with each frame; adds the stage lift",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print the tables."""
    try:
        from kp_pose_ros.bench.node import NodeUnderTest
    except ImportError as error:
        raise SettingsError(
            f"kp_pose bench runs the node, but ROS 2 was not found ({error}): source a "
            "distribution, or run `tools/in_ros_env kp_pose bench ...`"
        ) from error
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _interrupt)
    try:
        _measure(args, NodeUnderTest)
    except KeyboardInterrupt:
        _give_up()
    return 0


def _measure(args: argparse.Namespace, node_under_test: type[NodeUnderTest]) -> None:
    settings = estimator_settings(args, max_batch=args.cameras)
    # With auto, the node would give up threads while the relay runs.
    settings = replace(settings, threads=CoreWatch(None).threads().count)
    pictures = np.stack(_pictures(args.inputs, tuple(args.size)))
    model, estimator = make_estimator(settings)
    frames = [Frame(picture) for picture in pictures]
    people = float(np.mean([len(estimator.estimate([frame])[0]) for frame in frames]))
    rounds = Rounds([], [], {overlay: [] for overlay in _OVERLAYS[args.overlay]})
    with node_under_test(settings, args, pictures) as node:
        others = node.other_processes()
        for _ in tqdm(range(args.rounds), unit="round"):
            rounds.network.append(network_rate(estimator.engine, frames, args.seconds))
            rounds.relay.append(node.run_relay(args.seconds))
            for overlay, found in rounds.node.items():
                found.append(node.run(args.seconds, overlay=overlay))
        share = others.share()
    facts = facts_table(model, estimator.engine.name, settings, args, people)
    show(*facts.splitlines(), "", *results_table(rounds, share).splitlines())
    estimator.engine.close()


def _interrupt(*_: object) -> None:
    """Clean up, within a time limit: a thread inside a library's call cannot be stopped."""
    last_resort = Timer(_PATIENCE, _give_up)
    last_resort.daemon = True
    last_resort.start()
    raise KeyboardInterrupt


def _give_up() -> None:
    """Exit at once; Python's regular exit would wait for that thread."""
    show("kp_pose: interrupted", file=sys.stderr)
    os._exit(INTERRUPTED)


def _pictures(inputs: list[Path], size: tuple[int, int]) -> list[Pixels]:
    """Return the first pictures of the inputs, fitted into `size` (height, width)."""
    fitted = []
    for picture in (picture for source in find_sources(inputs) for picture in source):
        letterbox = Letterbox.fit((picture.shape[0], picture.shape[1]), size)
        canvas = letterbox.canvas()
        letterbox.apply(picture, canvas)
        fitted.append(canvas)
        if len(fitted) == MAX_PICTURES:
            break
    return fitted
