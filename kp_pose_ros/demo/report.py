# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's report: what it prints and writes about the messages it receives."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TextIO

from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.errors import counted, show
from kp_pose_ros.image.files import write_picture
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.messages import nanoseconds, poses_from_msg
from kp_pose_ros.skeleton import Vocabulary

_ROW = "{:>14}  {:<16} {:>8}  {:>6}  {:>8}  {}"
_ROW_LENGTH = 1.0  # seconds of one image source that a row covers, at most
_SCORES_SHOWN = 8


@dataclass(slots=True)
class _Row:
    """Consecutive messages about images of one name; the table shows the last one's poses."""

    name: str
    start: float  # of the first image, in seconds
    poses: Poses
    latencies: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        scores = " ".join(f"{score:.2f}" for score in self.poses.scores[:_SCORES_SHOWN])
        more = " ..." if len(self.poses) > _SCORES_SHOWN else ""
        latency = f"{median(self.latencies) * 1e3:.0f} ms"
        count, people = len(self.latencies), len(self.poses)
        return _ROW.format(f"{self.start:.3f}", self.name, count, people, latency, scores + more)


class DemoReport:
    """A table on the terminal, JSON `lines`, and in `folder` the best annotated pictures."""

    def __init__(self, folder: Folder, lines: TextIO, vocabulary: Vocabulary) -> None:
        self.latencies: list[float] = []
        self._folder = folder
        self._lines = lines
        self._recorder = Recorder(vocabulary)
        self._people: dict[int, int] = {}  # by stamp
        self._best: dict[str, tuple[int, Pixels]] = {}  # by frame id: people, annotated picture
        self._row: _Row | None = None

    def add_poses(self, message: PoseArray, latency: float) -> None:
        """Report one message, received `latency` seconds after its image's stamp."""
        poses, header = poses_from_msg(message), message.header
        stamp = nanoseconds(header.stamp)
        record = self._recorder.record(
            poses,
            stamp=stamp,
            frame_id=header.frame_id,
            size=(message.image_height, message.image_width),
        )
        self._lines.write(json.dumps(record) + "\n")
        self._people[stamp] = len(poses)
        if not self.latencies:
            show(_ROW.format("stamp", "image", "messages", "people", "latency", "scores"))
        self.latencies.append(latency)
        self._add_to_row(header.frame_id, stamp * 1e-9, poses, latency)

    def _add_to_row(self, name: str, stamp: float, poses: Poses, latency: float) -> None:
        row = self._row
        if row is None or row.name != name or stamp - row.start >= _ROW_LENGTH:
            if row is not None:
                show(row)
            row = self._row = _Row(name, stamp, poses)
        row.poses = poses
        row.latencies.append(latency)

    def add_picture(self, name: str, stamp: int, picture: Pixels) -> None:
        """Keep an annotated picture, unless one of the same name shows more people."""
        people = self._people.get(stamp, 0)
        if people >= self._best.get(name, (0,))[0]:
            self._best[name] = people, picture

    def finish(self) -> list[Path]:
        """Print the last row and write the annotated pictures; return their paths.

        Raises:
            SettingsError: one cannot be written.
        """
        if self._row is not None:
            show(self._row)
        paths = []
        for name, (_, picture) in self._best.items():
            paths.append(self._folder.file(f"{name}.png"))
            write_picture(paths[-1], picture)
        return paths

    def summary(self) -> str:
        """Return the number of messages and their latency, in one sentence."""
        return (
            f"{counted(len(self.latencies), 'message')} with poses, half of them within "
            f"{median(self.latencies) * 1e3:.0f} ms of the camera's stamp."
        )
