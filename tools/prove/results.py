# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a step is given, and the rows of the table that it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kp_pose_ros.image.files import read_picture
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.models.model import PoseModel

DRIVER, NETWORKS = "driver", "networks"
SIZE = (384, 640)  # of the network's input
HEADER = "| step | | worst | p50 (ms) | p95 (ms) | |\n|---|---|---|---|---|---|"


@dataclass
class Result:
    """A row of the table."""

    step: str  # what was tried
    status: str = "PASS"  # PASS, FAIL or SKIP
    worst: float | None = None  # the largest difference, in the unit that the note states
    times: list[float] = field(default_factory=list)  # milliseconds of each run
    note: str = ""  # a remark for the table
    text: str = ""  # text to print below the table

    def row(self) -> str:
        """Return it as a line of a Markdown table."""
        p50, p95 = ("", "")
        if self.times:
            p50, p95 = (f"{value:.3f}" for value in np.percentile(self.times, (50, 95)))
        worst = "" if self.worst is None else f"{self.worst:.4g}"
        return f"| {self.step} | {self.status} | {worst} | {p50} | {p95} | {self.note} |"


def passed(condition: object) -> str:
    """Return the status of a step whose condition is met or not."""
    return "PASS" if condition else "FAIL"


@dataclass(frozen=True)
class Case:
    """The input of all steps."""

    model: PoseModel  # the model
    pictures: list[Path]  # pictures of people
    submits: int  # how many batches the step `submits` runs
    itself: list[str]  # the command that runs one step of this program; the step's name is appended

    def frames(self) -> list[Frame]:
        """Read the pictures."""
        return [Frame(read_picture(path)) for path in self.pictures]


@dataclass(frozen=True)
class Step:
    """One step."""

    run: Callable[[Case], Iterator[Result]]  # yields its results; an exception is a failure, too
    seconds: float  # how long it may take, of eight minutes for all
    needs: str  # DRIVER, or NETWORKS: TensorRT, too, or its stand-in
