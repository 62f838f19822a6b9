# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose annotate`: finds the poses of pictures and videos, draws them and writes JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from os.path import realpath
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.commands.activities import add_activities_argument, read_activities
from kp_pose_ros.commands.estimator_arguments import add_estimator_arguments, estimator_settings
from kp_pose_ros.commands.source_poses import find_poses
from kp_pose_ros.errors import FrameError, SettingsError, counted, show
from kp_pose_ros.image.files import Source, VideoFile, find_sources, write_picture
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.inference.factory import make_estimator
from kp_pose_ros.output.drawing import Annotator, Style
from kp_pose_ros.output.json_records import open_lines
from kp_pose_ros.poses import Poses


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose annotate`."""
    parser = subparsers.add_parser(
        "annotate",
        help="draw the poses in pictures, videos and folders of them",
        description="Writes a copy of each picture and video with the poses drawn, and "
        "poses.jsonl with one line per frame. Files that cannot be read are reported and skipped, "
        "and the exit code is then 1.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="picture, video, or folder of them"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the results"
    )
    add_estimator_arguments(parser)
    parser.add_argument("--legend", action="store_true", help="draw the name of each keypoint")
    parser.add_argument(
        "--color-by",
        choices=("part", "track"),
        default="part",
        help="colour limbs by body part or by person; default: part",
    )
    add_activities_argument(
        parser, "label people with their activities, and write activities.jsonl"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Annotate every input and print where the results are; 1 if one was not read completely."""
    sources = find_sources(args.inputs)
    outputs = _output_paths(sources, args.output)
    model, estimator = make_estimator(estimator_settings(args))
    annotator = Annotator(model.vocabulary, Style(legend=args.legend, color_by=args.color_by))
    activities = read_activities(args, model.skeleton)
    lines_path = _make_folder(args.output) / "poses.jsonl"
    total = sum(source.frame_count for source in sources)
    people = frames = unreadable = 0
    with ExitStack() as opened:
        lines = opened.enter_context(open_lines(lines_path, overwrite=True))
        events = lines  # never written to without activities
        if activities is not None:
            path = args.output / "activities.jsonl"
            events = opened.enter_context(open_lines(path, overwrite=True))
        progress = opened.enter_context(tqdm(total=total, unit="frame"))
        for source, path in zip(sources, outputs, strict=True):
            results = _Results(lines, activities, events)
            found = find_poses(source, model, estimator, path.stem)
            try:
                for poses in _annotate(source, path, found, annotator, results):
                    people += len(poses)
                    frames += 1
                    progress.update()
            except FrameError as error:
                unreadable += 1
                progress.write(f"kp_pose: warning: {error}", file=sys.stderr)
    estimator.engine.close()
    without = f", {unreadable} unreadable" if unreadable else ""
    show(
        f"{counted(people, 'pose')} in {counted(frames, 'frame')} of "
        f"{counted(len(sources), 'file')}{without}: see {args.output} and {lines_path}"
    )
    return 1 if unreadable else 0


@dataclass(frozen=True, slots=True)
class _Results:
    """Where records go, and events if activities are looked for."""

    lines: TextIO
    activities: Activities | None
    events: TextIO


def _annotate(
    source: Source,
    path: Path,
    found: Iterator[tuple[Pixels, Poses, dict[str, Any]]],
    annotator: Annotator,
    results: _Results,
) -> Iterator[Poses]:
    """Write the source with its poses to `path`; yield the poses in each frame.

    Raises:
        FrameError: the source cannot be read completely.
    """
    with _open_output(path, source) as write:
        for picture, poses, record in found:
            results.lines.write(json.dumps(record) + "\n")
            notes = None
            if results.activities is not None and source.is_video:
                for event in results.activities.update(record):
                    results.events.write(json.dumps(event.to_record()) + "\n")
                notes = results.activities.active("", record["camera"])
            annotator.draw(picture, poses, notes)
            write(picture)
            yield poses


@contextmanager
def _open_output(path: Path, source: Source) -> Iterator[Callable[[Pixels], None]]:
    """Open the writer of a source's pictures; a video is complete however this is left."""
    if not source.is_video:
        yield partial(write_picture, path)
        return
    video = VideoFile(path, source.frame_rate)
    with closing(video):
        yield video.write


def _output_paths(sources: list[Source], folder: Path) -> list[Path]:
    """Return the path of each input's result: its own name, numbered if that is taken."""
    paths: list[Path] = []
    for source in sources:
        suffix = ".mp4" if source.is_video else ".png"
        names = chain([source.path.stem], (f"{source.path.stem}_{n}" for n in count(2)))
        paths.append(
            next(path for name in names if (path := folder / (name + suffix)) not in paths)
        )
    if clash := set(map(realpath, paths)) & {realpath(each.path) for each in sources}:
        raise SettingsError(
            f"{clash.pop()} would be overwritten by its own result: choose another output folder"
        )
    return paths


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the output folder {folder} cannot be created: {error.strerror}"
        ) from error
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"the output folder {folder} cannot be written: choose another one")
    return folder
