# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose bench`: how fast the node is, stage by stage, beside its network alone."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kp_pose_ros.commands.estimator_arguments import (
    add_estimator_arguments,
    estimator_settings,
    number,
)
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.factory import make_estimator
from kp_pose_ros.frame import Frame, Pixels
from kp_pose_ros.letterbox import Letterbox
from kp_pose_ros.measure import Rounds, network_rate, percentiles
from kp_pose_ros.sources import find_sources

MAX_PICTURES = 16


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose bench`."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the node: time of each stage, latency, throughput, memory",
        description="Runs the node and its network alone in turn, on the same frames, so that a "
        "busy machine slows both. A camera in another process sends a frame as soon as one is "
        "answered, or at --rate.",
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="pictures of people")
    add_estimator_arguments(parser)
    parser.add_argument(
        "--size", type=number(int, 16, 16384), nargs=2, default=(720, 1280), metavar=("H", "W")
    )
    parser.add_argument(
        "--seconds", type=number(float, 0.1, 3600), default=5.0, help="length of a round"
    )
    parser.add_argument("--rounds", type=number(int, 1, 1000), default=3, help="rounds of each")
    parser.add_argument(
        "--rate", type=number(float, 0, 1000), default=0.0, help="frames a second; 0: as answered"
    )
    parser.add_argument(
        "--cameras", type=number(int, 1, 64), default=1, help="how many cameras at once"
    )
    parser.add_argument("--annotated", action="store_true", help="subscribe to the picture, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print a table."""
    try:
        from kp_pose_ros.ros.bench import NodeUnderTest
    except ImportError as error:
        raise SettingsError(
            f"kp_pose bench runs the node, but ROS 2 is not to be found ({error}): source a "
            "distribution, or run `tools/in_ros_env kp_pose bench ...`"
        ) from error
    settings = estimator_settings(args, max_batch=args.cameras)
    pictures = np.stack(_pictures(args.inputs, tuple(args.size)))
    model, estimator = make_estimator(settings)
    frames = [Frame(picture) for picture in pictures]
    people = [len(estimator.estimate([frame])[0]) for frame in frames]
    rounds = Rounds()
    with NodeUnderTest(settings, args, pictures) as node:
        for _ in tqdm(range(args.rounds), unit="round"):
            rounds.network.append(network_rate(estimator.engine, frames, args.seconds))
            rounds.node.append(node.run(args.seconds))
    network = model.network_size(frames[0].size, settings.imgsz)
    print(
        f"{model.path.name}, {network[0]} x {network[1]}, {estimator.engine.name}, "
        f"{os.cpu_count()} x {platform.processor() or platform.machine()}; {args.cameras} x "
        f"{args.size[0]} x {args.size[1]} bgr8, {np.mean(people):.1f} poses a frame"
        f"{', annotated' if args.annotated else ''}"
    )
    _print_table(rounds, node.stage_seconds(), args.cameras)
    estimator.engine.close()
    return 0


def _print_table(rounds: Rounds, stages: dict[str, list[float]], cameras: int) -> None:
    print(f"{'milliseconds':<24}{'p50':>9}{'p95':>9}{'p99':>9}")
    latencies = [latency for each in rounds.node for latency in each.latencies]
    for name, seconds in (stages | {"camera stamp -> poses": latencies}).items():
        print(f"{name:<24}" + "".join(f"{1000 * p:9.2f}" for p in percentiles(seconds)))
    network = float(np.median(rounds.network))
    node = float(np.median([each.rate for each in rounds.node]))
    ratio = np.median([b.rate / a for a, b in zip(rounds.network, rounds.node, strict=True)])
    print(f"\nnetwork alone            {network:9.1f} frames/s")
    print(f"node                     {node:9.1f} frames/s, {ratio:.2f} of the network alone")
    if cameras > 1:
        shares = np.sum([each.shares for each in rounds.node], axis=0)
        print(f"share of each camera     {np.array2string(shares / shares.sum(), precision=3)}")
    first, last = rounds.node[0].memory, rounds.node[-1].memory
    answered = sum(sum(each.shares) for each in rounds.node[1:])
    print(
        f"memory                   {last / 2**20:9.1f} MB, {(last - first) / 2**20:+.2f} MB over "
        f"the last {answered} frames"
    )


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
