# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `kp_pose bench`, in Markdown."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from kp_pose_ros.bench.measure import CameraRound, NodeRound, Rounds, joined
from kp_pose_ros.inference.factory import EstimatorSettings
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.resources import versions
from kp_pose_ros.ros.board import board_name, power_mode
from kp_pose_ros.timing import PERCENTILES, percentiles

NOT_MEASURED = "not measured here"
BUSY = 0.1  # share of the cores: if other processes take more, ratios mean nothing
_COLUMNS = {False: "without overlay", True: "with overlay"}
_QUANTITIES: dict[str, Callable[[CameraRound], float]] = {
    "frames/s": lambda found: found.rate,
    "p50 ms": lambda found: 1000 * found.latency,
    "CPU ms a frame": lambda found: 1000 * found.cpu_a_frame,
}
_READINGS = {"power": "W", "clock": "MHz", "temperature": "C", "memory GPU in use": "MB"}


def facts_table(
    model: PoseModel,
    engine: str,
    settings: EstimatorSettings,
    args: argparse.Namespace,
    people: float,
) -> str:
    """Return the table of what was run, and on which machine."""
    frame = tuple(args.size)
    network = model.network_size(frame, settings.imgsz)
    precision = settings.precision
    if "TensorRT" not in engine:
        stated = re.search(r"\((b?f\d+)\)", engine)  # of OpenVINO, which chooses it
        precision = stated[1] if stated else "fp32"
    rate = f"{args.rate:g} Hz" if args.rate else "a frame as soon as one is answered"
    rows = {
        "board": board_name(),
        "power mode": power_mode() or NOT_MEASURED,
        "versions": ", ".join(f"{name} {each}" for name, each in versions().items()),
        "engine": engine,
        "model": model.path.name,
        "network input": "{} x {}".format(*network),
        "precision": precision,
        "batch": f"up to {args.cameras}" if args.cameras > 1 else "1",
        "cameras": "{} of {} x {} bgr8, {}".format(args.cameras, *frame, rate),
        "people in a frame": f"{people:.1f}",
    }
    return _markdown([["", ""], *([name, value] for name, value in rows.items())])


def results_table(rounds: Rounds, others: float) -> str:
    """Return the measurements, in a column for each way to run the node.

    Args:
        rounds: of each kind, in the order in which they were taken.
        others: the share of the cores that other processes took meanwhile, in [0, 1].
    """
    groups = [
        [_frame_rows(each) for each in rounds.node.values()],
        [_floor_rows(rounds, each, others) for each in rounds.node.values()],
        *([rows(each) for each in rounds.node.values()] for rows in _ROWS),
    ]
    table = [["", *(_COLUMNS[overlay] for overlay in rounds.node)]]
    for columns in groups:
        names = dict.fromkeys(name for column in columns for name in column)
        table += [[name, *(column.get(name, "") for column in columns)] for name in names]
    return _markdown(table)


def _frame_rows(node: Sequence[NodeRound]) -> dict[str, str]:
    """Return what became of the frames."""
    sent = np.sum([each.cameras.sent for each in node], axis=0)
    answered = np.sum([each.cameras.answered for each in node], axis=0)
    seconds = sum(each.cameras.seconds for each in node)
    became = sum((each.became for each in node), Counter[str]())
    received, lost = became.pop("received", 0), became.pop("lost", 0)
    return {
        "sent by each camera, frames/s": _numbers(sent / seconds, 1),
        "lost on the way to the node": str(lost),
        "share of each camera": _numbers(answered / max(1, answered.sum()), 3),
        "frames that reached the node": f"{received} = "
        + " + ".join(f"{count} {name}" for name, count in became.items()),
    }


def _floor_rows(rounds: Rounds, node: Sequence[NodeRound], others: float) -> dict[str, str]:
    """Compare the node with its limits: its network alone, and the minimal relay."""
    cameras = [each.cameras for each in node]
    rows = {"network alone, frames/s": f"{np.median(rounds.network):.1f}"}
    for program, each in {"relay": rounds.relay, "node": cameras}.items():
        for quantity, read in _QUANTITIES.items():
            rows[f"{program}, {quantity}"] = f"{np.median([*map(read, each)]):.2f}"
    ratios = {"network alone, frames/s": ([each.rate for each in cameras], rounds.network)} | {
        f"relay, {quantity}": ([*map(read, cameras)], [*map(read, rounds.relay)])
        for quantity, read in _QUANTITIES.items()
    }
    for name, (ours, floor) in ratios.items():
        # Within a round, because the machine may be faster in one than in another.
        ratio = np.median(np.array(ours) / floor)
        rows[f"node / {name}"] = f"{ratio:.2f}" + ", machine too busy" * (others > BUSY)
    return {**rows, "CPU of other processes, % of the cores": f"{100 * others:.0f}"}


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
    """Return the machine's sensors, with a row for each kind that it does not have."""
    means = joined({name: [value] for name, value in each.readings.items()} for each in node)
    rows: dict[str, str] = {}
    for kind, unit in _READINGS.items():
        found = {name: values for name, values in means.items() if name.startswith(kind)}
        rows |= {name: f"{np.mean(values):.1f}" for name, values in found.items()} or {
            f"{kind} ({unit})": NOT_MEASURED
        }
    return rows


_ROWS = (_stage_rows, _use_rows, _reading_rows)


def _numbers(values: Iterable[float], digits: int) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    return "\n".join(
        [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
    )
