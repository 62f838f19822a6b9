# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo prints and writes of the messages it receives."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from time import monotonic
from typing import TextIO

import cv2

from kp_pose_ros.frame import Pixels
from kp_pose_ros.jsonl import to_record
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.conversions import poses_from_msg
from kp_pose_ros.skeleton import Skeleton

_ROW = "{:>15}  {:<16} {:>6}  {:>8}  {}"
_ROWS_A_SECOND = 5.0
_SCORES_SHOWN = 8


class Report:
    """A table on the terminal, JSON lines, and the annotated picture of each image source."""

    def __init__(
        self, folder: Path, lines: TextIO, skeleton: Skeleton, class_names: list[str]
    ) -> None:
        """Prepare an empty report.

        Args:
            folder: where the annotated pictures go.
            lines: where the JSON lines go.
            skeleton: names the keypoints.
            class_names: by class id.
        """
        self.latencies: list[float] = []
        self._folder = folder
        self._lines = lines
        self._skeleton = skeleton
        self._class_names = class_names
        self._people: dict[int, int] = {}  # by stamp
        self._best: dict[str, tuple[int, Pixels]] = {}  # by frame id: people, annotated picture
        self._last_row = ("", 0.0)

    def add_poses(self, message: PoseArray, latency: float) -> None:
        """Report one message, received `latency` seconds after its image's stamp."""
        poses, header = poses_from_msg(message), message.header
        stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
        record = to_record(
            poses,
            self._skeleton,
            stamp=stamp,
            frame_id=header.frame_id,
            size=(message.image_height, message.image_width),
            class_names=self._class_names,
        )
        self._lines.write(json.dumps(record) + "\n")
        self._people[stamp] = len(poses)
        if not self.latencies:
            print(_ROW.format("stamp", "image", "people", "latency", "scores"))
        self.latencies.append(latency)
        name, printed = self._last_row
        if name != header.frame_id or monotonic() - printed > 1 / _ROWS_A_SECOND:
            self._last_row = header.frame_id, monotonic()
            self._print_row(f"{stamp / 1e9:.3f}", header.frame_id, poses, latency)

    def add_picture(self, name: str, stamp: int, picture: Pixels) -> None:
        """Keep an annotated picture, if no other of that name shows more people."""
        people = self._people.get(stamp, 0)
        if people >= self._best.get(name, (0,))[0]:
            self._best[name] = people, picture

    def _print_row(self, time: str, name: str, poses: Poses, latency: float) -> None:
        scores = " ".join(f"{score:.2f}" for score in poses.scores[:_SCORES_SHOWN])
        more = " ..." if len(poses) > _SCORES_SHOWN else ""
        row = _ROW.format(time, name, len(poses), f"{latency * 1e3:.0f} ms", scores + more)
        print(row, flush=True)

    def finish(self) -> list[Path]:
        """Write the annotated pictures; return their paths."""
        paths = []
        for name, (_, picture) in self._best.items():
            paths.append(self._folder / f"{name}.png")
            cv2.imwrite(str(paths[-1]), picture)
        return paths

    def summary(self) -> str:
        """Return how many messages came, and how late, in one sentence."""
        if not self.latencies:
            return "No poses were received."
        return (
            f"{len(self.latencies)} poses messages, half of them within "
            f"{median(self.latencies) * 1e3:.0f} ms of the camera's stamp."
        )
