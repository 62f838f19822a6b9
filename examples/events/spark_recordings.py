# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds poses and activities in a folder of bags and videos, on all machines of a Spark cluster.

In an environment with pyspark==4.1.4 and pyarrow:

    python spark_recordings.py RECORDINGS OUT [--model MODEL] [--rules RULES] [--kp-pose COMMAND]

A recording is one task, and becomes OUT/poses/recording=NAME/records.parquet, with a row for each
image as record.schema.json describes it, and OUT/activities/recording=NAME/events.parquet, with a
row for each event. Recordings that are in OUT already are skipped, so that a stopped job resumes.
Every machine needs the folders RECORDINGS and OUT, and the command kp_pose.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from pyspark.sql import SparkSession

VIDEOS = (".avi", ".mkv", ".mov", ".mp4")
_POINTS = pa.map_(pa.string(), pa.list_(pa.float32()))
_POSE = {
    **{"track_id": pa.int32(), "class": pa.string(), "score": pa.float32()},
    **{"bbox": pa.list_(pa.float32()), "keypoints": _POINTS, "keypoints_3d": _POINTS},
}
RECORD = pa.schema(
    {
        **{"v": pa.int32(), "robot": pa.string(), "camera": pa.string(), "session": pa.string()},
        **{"seq": pa.int64(), "stamp_ms": pa.int64(), "frame_id": pa.string()},
        **{"width": pa.int32(), "height": pa.int32(), "skeleton": pa.string()},
        "poses": pa.list_(pa.struct(_POSE)),
        "gone": pa.list_(pa.struct({"track_id": pa.int32()})),
    }
)
EVENT = pa.schema(
    {
        **{"v": pa.int32(), "robot": pa.string(), "camera": pa.string(), "session": pa.string()},
        **{"activity": pa.string(), "state": pa.string(), "track_ids": pa.list_(pa.int32())},
        **{"since_ms": pa.int64(), "until_ms": pa.int64(), "stamp_ms": pa.int64()},
        "images": pa.int64(),
    }
)


@dataclass(frozen=True)
class Commands:
    """The beginnings of three commands of kp_pose, with their options."""

    annotate: list[str]
    bag: list[str]
    activities: list[str]

    @classmethod
    def read(cls, args: argparse.Namespace) -> Commands:
        """Return what the arguments ask for."""
        kp_pose = shlex.split(args.kp_pose)
        model = ["--model", args.model] if args.model else []
        rules = ["--rules", str(args.rules.resolve())] if args.rules else []
        return cls(
            [*kp_pose, "annotate", *model],
            [*kp_pose, "bag", *model],
            [*kp_pose, "activities", *rules],
        )


def find_recordings(folder: Path) -> list[Path]:
    """Return the bags (.mcap files, folders with a metadata.yaml) and videos below a folder."""
    bags = {path.parent for path in folder.rglob("metadata.yaml")}
    files = [path for path in folder.rglob("*") if path.suffix in (".mcap", *VIDEOS)]
    return sorted([*bags, *(path for path in files if path.parent not in bags)])


def name_of(recording: Path, folder: Path) -> str:
    """Return a recording's name in OUT: its path below the folder."""
    return str(recording.relative_to(folder)).replace("/", "_").replace("=", "_")


def process(recording: Path, name: str, out: Path, commands: Commands) -> str:
    """Write a recording's poses and activities; return what went wrong, if anything did."""
    with TemporaryDirectory() as scratch:
        folder, records = Path(scratch, "out"), Path(scratch, "records.jsonl")
        if recording.suffix in VIDEOS:
            records = folder / "poses.jsonl"
            look = [*commands.annotate, recording, "--output", folder]
        else:
            look = [*commands.bag, recording, "--output", folder, "--records", records]
        try:
            subprocess.run(look, check=True, capture_output=True, text=True)
            find = [*commands.activities, records]
            found = subprocess.run(find, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            said = [line.strip() for line in error.stderr.splitlines() if "kp_pose:" in line]
            return f"{recording}: {said[-1] if said else error.stderr[-500:]}"
        except OSError as error:
            return f"{recording}: {error.filename}: {error.strerror}"
        events = map(json.loads, found.stdout.splitlines())
        write(events, EVENT, out / "activities" / name / "events.parquet")
        with records.open() as stream:  # last: the recording is done when its poses are there
            write(map(as_row, stream), RECORD, out / "poses" / name / "records.parquet")
    return ""


def as_row(line: str) -> dict[str, Any]:
    """Return a record with its keypoints as pairs, which Arrow accepts as a map."""
    record = json.loads(line)
    for pose in record["poses"]:
        pose["keypoints"] = [*pose["keypoints"].items()]
        pose["keypoints_3d"] = [*pose.get("keypoints_3d", {}).items()]
    return record


def write(rows: Iterable[dict[str, Any]], schema: pa.Schema, path: Path) -> None:
    """Write a table; the file appears under its name once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    parquet.write_table(pa.Table.from_pylist([*rows], schema), begun)
    begun.replace(path)


def main() -> int:
    """Run the job; return 1 if a recording could not be read."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recordings", type=Path, metavar="RECORDINGS")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--model", help="default: kp_pose's")
    parser.add_argument("--rules", type=Path, help="default: the shipped activities.yaml")
    parser.add_argument("--kp-pose", default="kp_pose", metavar="COMMAND", help="default: kp_pose")
    args = parser.parse_args()
    folder, out = args.recordings.resolve(), args.out.resolve()
    named = {f"recording={name_of(path, folder)}": path for path in find_recordings(folder)}
    done = {path.parent.name for path in out.glob("poses/*/records.parquet")}
    waiting = [(path, name) for name, path in named.items() if name not in done]
    print(f"{len(named)} recordings, {len(named) - len(waiting)} of them done already")
    if not waiting:
        return 0
    commands = Commands.read(args)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.appName("kp_pose_recordings").getOrCreate()
    tasks = spark.sparkContext.parallelize(waiting, len(waiting))
    problems = tasks.map(lambda task: process(*task, out, commands)).filter(bool).collect()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
