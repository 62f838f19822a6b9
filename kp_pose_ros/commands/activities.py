# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose activities`: finds activities in records of poses, or prints the Flink job that does."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.activities.flink import flink_sql
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.errors import SettingsError, counted, show
from kp_pose_ros.resources import config_path, open_regular
from kp_pose_ros.skeleton import Skeleton

_LONGEST = 2**24  # bytes; a record of a hundred people has 150,000
# What only a job has: the defaults of arguments.
_KAFKA = {"brokers": "localhost:9092", "poses_topic": "poses", "events_topic": "activities"}
_log = logging.getLogger(__name__)


def add_activities_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --activities [RULES], which `read_activities` reads."""
    parser.add_argument(
        "--activities",
        type=Path,
        nargs="?",
        const=_shipped(),
        metavar="RULES",
        help=f"{what}; RULES is a file such as the shipped config/activities.yaml",
    )


def read_activities(args: argparse.Namespace, skeleton: Skeleton) -> Activities | None:
    """Return what --activities asks for; warn of rules whose keypoints the skeleton lacks.

    Raises:
        SettingsError: the rules cannot be read.
    """
    if args.activities is None:
        return None
    activities = Activities(load_rules(args.activities))
    for sentence in activities.matcher.check(skeleton.keypoint_names):
        _log.warning("kp_pose: warning: %s", sentence)
    return activities


def _shipped() -> Path:
    return config_path("activities.yaml")


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose activities`."""
    parser = subparsers.add_parser(
        "activities",
        help="find activities in recorded poses, or print the Flink job that finds them",
        description="Reads JSON records, one per line, as written by `kp_pose annotate`, `kp_pose "
        "bag --records` and event_feed, and prints one event per line.",
    )
    parser.add_argument(
        "records",
        nargs="*",
        type=Path,
        metavar="RECORDS",
        help="files of records; default: standard input",
    )
    parser.add_argument(
        "--rules",
        type=Path,
        default=_shipped(),
        help="rules file; default: the shipped activities.yaml",
    )
    parser.add_argument(
        "--flink", action="store_true", help="print a Flink SQL job for Kafka instead"
    )
    for name, default in _KAFKA.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", metavar="NAME", help=f"with --flink; default: {default}"
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print events, or the job; 1 if a record could not be used."""
    kafka = {name: getattr(args, name) for name in _KAFKA if getattr(args, name) is not None}
    if args.records if args.flink else kafka:
        raise SettingsError(
            "--flink prints a job: expected --brokers, --poses-topic and --events-topic only with "
            "it, and RECORDS only without it"
        )
    rules = load_rules(args.rules)
    if args.flink:
        show(*flink_sql(rules, **_KAFKA | kafka).splitlines())
        return 0
    activities, bad = Activities(rules), 0
    for place, line in read_lines(args.records):
        try:
            for event in activities.update(parse_record(line)):
                show(json.dumps(event.to_record()))
        except SettingsError as error:
            bad += 1
            if bad == 1:
                _log.warning("kp_pose: warning: %s: %s", place, error)
    if bad:
        _log.warning("kp_pose: left out %s", counted(bad, "record"))
    return 1 if bad else 0


def read_lines(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield every line of files, or of the standard input, and where it stands."""
    if not paths and sys.stdin.isatty():
        raise SettingsError("no RECORDS are given: expected files, or records on standard input")
    if not paths:
        yield from _lines_of(sys.stdin.buffer, "the standard input")
    for path in paths:
        try:
            with open_regular(path) as stream:
                yield from _lines_of(stream, path)
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from error


def _lines_of(stream: BinaryIO, name: object) -> Iterator[tuple[str, str]]:
    # A longer line comes in pieces, which are no records.
    for number, line in enumerate(iter(lambda: stream.readline(_LONGEST), b""), 1):
        yield f"line {number} of {name}", line.decode(errors="replace")


def parse_record(line: str) -> dict[str, Any]:
    """Return the record in a line of JSON.

    Raises:
        SettingsError: there is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"expected a JSON record, found no JSON ({error})") from error
    if not isinstance(record, dict):
        raise SettingsError("expected a JSON object, found something else")
    return record
