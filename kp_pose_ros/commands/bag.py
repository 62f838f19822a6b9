# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose bag`: finds the poses in a bag's images, without ROS, as fast as possible."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from kp_pose_ros.commands.activities import add_activities_argument, read_activities
from kp_pose_ros.commands.estimator_arguments import (
    add_estimator_arguments,
    add_max_batch_argument,
    check_new_file,
    estimator_settings,
)
from kp_pose_ros.errors import INTERRUPTED, BagError, SettingsError, counted, show
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.inference.factory import make_estimator, network_columns
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.output.json_records import Recorder, open_lines
from kp_pose_ros.tracking.tracker import make_trackers

if TYPE_CHECKING:
    from rosbags.rosbag2 import Reader

    from kp_pose_ros.bags.processor import BagProcessor, Results


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose bag`."""
    parser = subparsers.add_parser(
        "bag",
        help="copy a bag and add the poses in its images",
        description="Copies a bag and adds poses, detections and the skeleton for each image "
        "topic, with the headers and times of the images. After Ctrl-C, the new bag is complete "
        "up to that point.",
    )
    parser.add_argument("input", type=Path, metavar="IN", help="a rosbag2 folder or .mcap file")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder to create"
    )
    parser.add_argument(
        "--topics", nargs="+", metavar="TOPIC", help="image topics to process; default: all"
    )
    parser.add_argument(
        "--annotated", action="store_true", help="also write the annotated images, as JPEG"
    )
    add_max_batch_argument(parser, "number of images in a batch; default: 1")
    parser.add_argument(
        "--records", type=Path, metavar="FILE", help="also write one JSON record per image to FILE"
    )
    add_activities_argument(parser, "also write people's activities, on the topics activities")
    add_estimator_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the bag and print a summary."""
    _check(args)
    from kp_pose_ros.bags.files import open_bag

    tune_process()
    with open_bag(args.input) as bag:
        return _process(bag, args)


def _check(args: argparse.Namespace) -> None:
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"kp_pose bag needs rosbags, which cannot be imported ({error}): "
            "install it with `pip install rosbags`"
        ) from error
    if args.output.exists():
        raise SettingsError(f"{args.output} exists: choose a new folder with --output")
    if args.records is not None:
        check_new_file(args.records)


def _process(bag: Reader, args: argparse.Namespace) -> int:
    from kp_pose_ros.bags.files import Output, make_typestore, read_messages
    from kp_pose_ros.bags.processor import BagProcessor
    from kp_pose_ros.bags.topics import image_topics, result_prefixes

    types = {each.topic: each.msgtype for each in bag.connections}
    prefixes = result_prefixes(image_topics(types, args.topics), types)
    settings = estimator_settings(args, max_batch=args.max_batch)
    model, estimator = make_estimator(settings)
    total = sum(each.msgcount for each in bag.connections if each.topic in prefixes)
    with (
        Output(args.output, bag, make_typestore()) as output,
        tqdm(total=total, unit="image") as progress,
        _interruption() as interrupted,
        open_lines(args.records) if args.records else nullcontext() as records,
    ):
        processor = BagProcessor(
            output,
            estimator,
            model.vocabulary,
            prefixes,
            trackers=make_trackers(model.skeleton, {topic: topic for topic in prefixes}),
            annotator=Annotator(model.vocabulary) if args.annotated else None,
            results=_results(args, model, prefixes, records),
            min_width=partial(network_columns, model, settings.imgsz),
            progress=progress.update,
        )
        start = perf_counter()
        with closing(estimator.engine):
            read = processor.run(read_messages(bag), interrupted)
        seconds = perf_counter() - start
    _print_summary(processor, prefixes, seconds, args.output)
    if interrupted():
        return INTERRUPTED
    if not any(each.images for each in processor.counts.values()):
        raise BagError(f"not one image of {args.input} could be read: {args.output} has no poses")
    if read < bag.message_count:
        raise BagError(
            f"the bag {args.input} is damaged: only {read} of its {bag.message_count} messages "
            f"can be read, and those are in {args.output}"
        )
    return 0


def _results(
    args: argparse.Namespace, model: PoseModel, topics: Iterable[str], records: TextIO | None
) -> Results:
    from kp_pose_ros.bags.processor import Results

    activities = read_activities(args, model.skeleton)
    if records is None and activities is None:
        return Results()
    recorders = {topic: Recorder(model.vocabulary, camera=topic, session=topic) for topic in topics}
    return Results(recorders, records, activities)


@contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether a signal asked to stop; a second one stops at once."""
    signals = (signal.SIGINT, signal.SIGTERM)
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)
        restore()

    def restore() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.signal(each, note) for each in signals}
    try:
        yield lambda: bool(received)
    finally:
        restore()


def _print_summary(
    processor: BagProcessor, prefixes: dict[str, str], seconds: float, output: Path
) -> None:
    for topic, became in processor.counts.items():
        poses, images = counted(became.poses, "pose"), counted(became.images, "image")
        show(f"{topic} -> {prefixes[topic]}poses: {poses} in {images}")
        if became.bad:
            skipped = counted(became.bad, "image")
            show(f"{topic}: {skipped} skipped, the first because {became.reason}")
    total = sum(each.images for each in processor.counts.values())
    show(
        f"{counted(total, 'image')} in {seconds:.1f} s, {total / seconds:.1f} per second; "
        f"{processor.waited / seconds:.0%} of the time it waited for the engine: see {output}"
    )
