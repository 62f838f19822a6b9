# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `kp_pose bench` found, as Markdown."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kp_pose_ros.bench.measure import NodeRound, joined
from kp_pose_ros.inference.factory import Settings
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.resources import versions
from kp_pose_ros.ros.board import board_name, power_mode
from kp_pose_ros.timing import PERCENTILES, percentiles

NOT_MEASURED = "not measured here"
_COLUMNS = {False: "without overlay", True: "with overlay"}
_READINGS = {"power": "W", "clock": "MHz", "temperature": "C", "memory GPU in use": "MB"}


@dataclass(frozen=True, slots=True)
class Rounds:
    """What was measured, round by round.

    Attributes:
        network: frames a second of the network alone.
        node: rounds with the node, by whether somebody subscribed to the annotated pictures.
    """

    network: list[float]
    node: dict[bool, list[NodeRound]]


def facts_table(
    model: PoseModel, engine: str, settings: Settings, args: argparse.Namespace, people: float
) -> str:
    """Return what was run on what."""
    frame = tuple(args.size)
    network = model.network_size(frame, settings.imgsz)
    rate = f"{args.rate:g} Hz" if args.rate else "a frame as soon as one is answered"
    rows = {
        "board": board_name(),
        "power mode": power_mode() or NOT_MEASURED,
        "versions": ", ".join(f"{name} {each}" for name, each in versions().items()),
        "engine": engine,
        "model": model.path.name,
        "network input": "{} x {}".format(*network),
        "precision": settings.precision if "TensorRT" in engine else "fp32",
        "batch": f"up to {args.cameras}" if args.cameras > 1 else "1",
        "cameras": "{} of {} x {} bgr8, {}".format(args.cameras, *frame, rate),
        "people in a frame": f"{people:.1f}",
    }
    return _markdown([["", ""], *([name, value] for name, value in rows.items())])


def results_table(rounds: Rounds) -> str:
    """Return the numbers, in a column for each way to run the node."""
    groups = [
        [_network_rows(rounds.network, each) for each in rounds.node.values()],
        *([rows(each) for each in rounds.node.values()] for rows in _ROWS),
    ]
    table = [["", *(_COLUMNS[overlay] for overlay in rounds.node)]]
    for columns in groups:
        names = dict.fromkeys(name for column in columns for name in column)
        table += [[name, *(column.get(name, "") for column in columns)] for name in names]
    return _markdown(table)


def _network_rows(network: Sequence[float], node: Sequence[NodeRound]) -> dict[str, str]:
    rates = [each.cameras.rate for each in node]
    ratio = np.median([ours / alone for ours, alone in zip(rates, network, strict=True)])
    sent = np.sum([each.cameras.sent for each in node], axis=0)
    answered = np.sum([each.cameras.answered for each in node], axis=0)
    seconds = sum(each.cameras.seconds for each in node)
    became = sum((each.became for each in node), Counter[str]())
    received, lost = became.pop("received", 0), became.pop("lost", 0)
    return {
        "network alone, frames/s": f"{np.median(network):.1f}",
        "node, frames/s": f"{np.median(rates):.1f}",
        "node / network alone": f"{ratio:.2f}",
        "sent by each camera, frames/s": _numbers(sent / seconds, 1),
        "lost on the way to the node": str(lost),
        "share of each camera": _numbers(answered / max(1, answered.sum()), 3),
        "frames that reached the node": f"{received} = "
        + " + ".join(f"{count} {name}" for name, count in became.items()),
    }


def _stage_rows(node: Sequence[NodeRound]) -> dict[str, str]:
    latencies = [latency for each in node for latency in each.cameras.latencies]
    durations = {"camera stamp -> poses": latencies} | joined(each.stages for each in node)
    which = ", ".join(f"p{each}" for each in PERCENTILES)
    return {
        f"{name}, ms ({which})": _numbers([1000 * each for each in percentiles(seconds)], 2)
        for name, seconds in durations.items()
    }


def _use_rows(node: Sequence[NodeRound]) -> dict[str, str]:
    seconds = sum(each.cameras.seconds for each in node)
    cpu = sum(each.cameras.cpu_seconds for each in node)
    rows = {
        "CPU of the node, % of a core": f"{100 * cpu / seconds:.0f}",
        "memory of the node, MB": f"{node[-1].memory / 2**20:.0f}",
    }
    # By the end of the second round everything has run once, the overlay included.
    if frames := sum(each.became["processed"] for each in node[2:]):
        growth = (node[-1].memory - node[1].memory) / 2**20
        rows["its growth, MB"] = f"{growth:+.2f} over {frames} frames"
    return rows


def _reading_rows(node: Sequence[NodeRound]) -> dict[str, str]:
    """Return what the machine told, and for each kind of number that it did not tell a row."""
    means = joined({name: [value] for name, value in each.readings.items()} for each in node)
    rows: dict[str, str] = {}
    for kind, unit in _READINGS.items():
        told = {name: values for name, values in means.items() if name.startswith(kind)}
        rows |= {name: f"{np.mean(values):.1f}" for name, values in told.items()} or {
            f"{kind} ({unit})": NOT_MEASURED
        }
    return rows


_ROWS = (_stage_rows, _use_rows, _reading_rows)


def _numbers(values: Iterable[float], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table, the first row above the line, that is readable as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )
