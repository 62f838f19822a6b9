# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Copies a bag's messages, and adds the poses found in its images."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from kp_pose_ros.activities.engine import Activities, Event
from kp_pose_ros.bags.files import Output
from kp_pose_ros.bags.topics import (
    ACTIVITIES,
    ANNOTATED,
    DECODERS,
    DETECTIONS,
    POSES,
    SKELETON,
)
from kp_pose_ros.errors import BagError, FrameError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import JPEG_FORMAT, MinWidth, encode_jpeg
from kp_pose_ros.image.topics import Decoder
from kp_pose_ros.image.video import Decoded
from kp_pose_ros.inference.estimator import Pending, PoseEstimator, overlapping
from kp_pose_ros.output import cdr
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import Poses
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.tracking.tracker import Tracker

_POSE_ARRAY = "kp_pose_ros/msg/PoseArray"
_SKELETON = "kp_pose_ros/msg/Skeleton"
_DETECTIONS = "vision_msgs/msg/Detection2DArray"
_ACTIVITY = "kp_pose_ros/msg/Activity"
_PICTURE = "sensor_msgs/msg/CompressedImage"
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class BagImage:
    """One image of a bag."""

    topic: str
    stamp: int  # when it was received, in nanoseconds
    header: Header
    frame: Frame


@dataclass(slots=True)
class Count:
    """The counts of one topic's images."""

    images: int = 0
    poses: int = 0  # found in them
    bad: int = 0  # messages that could not be read
    reason: str = ""  # why the first of these could not be read


@dataclass(frozen=True, slots=True)
class Results:
    """Outputs besides the messages with poses."""

    # by image topic; None: neither records nor activities are wanted
    recorders: Mapping[str, Recorder] | None = None
    records: TextIO | None = None  # where the records go, if wanted
    activities: Activities | None = None  # finds the activities, written on `activities`, if wanted


class BagProcessor:
    """Copies messages in their order, and adds the results.

    Attributes:
        counts: by image topic.
        waited: seconds spent only waiting for the engine.
    """

    def __init__(
        self,
        output: Output,
        estimator: PoseEstimator,
        vocabulary: Vocabulary,
        prefixes: Mapping[str, str],
        *,
        trackers: Mapping[str, Tracker],
        annotator: Annotator | None,
        results: Results,
        min_width: MinWidth,
        progress: Callable[[], object],
    ) -> None:
        """Prepare; `run` does the work.

        Args:
            output: where everything goes.
            estimator: finds the poses.
            vocabulary: the meaning of the model's indices.
            prefixes: the prefix of the results' names, by image topic.
            trackers: by image topic.
            annotator: draws the annotated pictures, which are written as well; None: none are.
            results: records and activities, besides the messages.
            min_width: how many columns of a picture the network takes; a JPEG that is not drawn on
                is decoded no larger than needed for them.
            progress: called after each image.
        """
        self.counts = {topic: Count() for topic in prefixes}
        self.waited = 0.0
        self._output = output
        self._estimator = estimator
        self._vocabulary = vocabulary
        self._prefixes = prefixes
        self._trackers = trackers
        self._annotator = annotator
        self._results = results
        self._min_width = None if annotator else min_width
        self._progress = progress
        self._decoders: dict[str, Decoder] = {}

    def run(
        self, messages: Iterable[tuple[Any, int, bytes]], interrupted: Callable[[], bool]
    ) -> int:
        """Process messages until they end or the user interrupts; return how many there were.

        Args:
            messages: connection, time of arrival in nanoseconds and content of each.
            interrupted: called after each message; returns whether to stop.

        Raises:
            BagError: the output cannot be written; or the input breaks off, in which case the
                messages before have been processed.
            EngineError: the engine failed.
        """
        source = _Source(messages, interrupted)
        images, engine = self._images(source), self._estimator.engine

        def begun() -> Iterator[tuple[list[BagImage], list[Frame], Pending]]:
            while batch := list(islice(images, engine.max_batch)):
                frames = [each.frame for each in batch]
                yield batch, frames, engine.submit(frames)

        for batch, frames, pending in overlapping(begun()):
            start = perf_counter()
            results = self._estimator.decode(frames, pending.result())
            self.waited += perf_counter() - start
            for image, poses in zip(batch, results, strict=True):
                self._write(image, poses)
        if source.broken is not None:
            raise source.broken
        return source.count

    def _images(self, messages: Iterable[tuple[Any, int, bytes]]) -> Iterator[BagImage]:
        """Copy every message, and yield the images in them."""
        stamp = 0
        for connection, stamp, content in messages:
            self._output.copy(connection, stamp, content)
            topic = connection.topic
            if topic in self._prefixes:
                decoder = self._decoders.setdefault(topic, DECODERS[connection.msgtype]())
                buffer = np.frombuffer(content, np.uint8)
                decode = partial(decoder.decode, buffer, self._min_width)
                yield from self._read(topic, stamp, decode)
        for topic, decoder in self._decoders.items():
            yield from self._read(topic, stamp, decoder.finish)

    def _read(self, topic: str, stamp: int, decode: Callable[[], list[Decoded]]) -> list[BagImage]:
        try:
            images = [each() for each in decode()]
            return [BagImage(topic, stamp, each.header, each.frame) for each in images]
        except FrameError as error:
            count = self.counts[topic]
            count.bad += 1
            count.reason = count.reason or str(error)
            self._progress()
            return []

    def _write(self, image: BagImage, found: Poses) -> None:
        header, size, stamp = image.header, image.frame.source_size, image.stamp
        poses = self._trackers[image.topic].update(found, header.stamp, size)
        prefix, count = self._prefixes[image.topic], self.counts[image.topic]
        write, words = self._output.write, self._vocabulary
        if not count.images:
            write(prefix + SKELETON, _SKELETON, stamp, cdr.skeleton(words), latched=True)
        write(prefix + POSES, _POSE_ARRAY, stamp, cdr.pose_array(header, size, poses, words))
        write(prefix + DETECTIONS, _DETECTIONS, stamp, cdr.detections(header, poses, words))
        notes = self._write_record(image, poses)
        if self._annotator:
            picture = image.frame.to_bgr().copy()
            self._annotator.draw(picture, poses, notes)
            jpeg = encode_jpeg(picture, _JPEG_QUALITY)
            content = cdr.compressed_image(header, JPEG_FORMAT, jpeg)
            write(prefix + ANNOTATED, _PICTURE, stamp, content)
        count.images += 1
        count.poses += len(poses)
        self._progress()

    def _write_record(self, image: BagImage, poses: Poses) -> Mapping[int, Sequence[str]] | None:
        """Write an image's record and activities; return the active activities by track id."""
        results = self._results
        if results.recorders is None:
            return None
        record = results.recorders[image.topic].record(
            poses,
            stamp=image.header.stamp,
            frame_id=image.header.frame_id,
            size=image.frame.source_size,
        )
        if results.records is not None:
            results.records.write(json.dumps(record) + "\n")
        if results.activities is None:
            return None
        topic = self._prefixes[image.topic] + ACTIVITIES
        for event in results.activities.update(record):
            self._output.write(topic, _ACTIVITY, image.stamp, _activity(event, image.header))
        return results.activities.active("", image.topic)


def _activity(event: Event, header: Header) -> bytes:
    """Return a serialized Activity for the image with this header."""
    writer = cdr.CdrWriter()
    writer.header(header)
    writer.text(event.camera)
    writer.fields("B", event.is_end + 1)
    writer.text(event.activity)
    writer.fields("I", len(event.track_ids))
    writer.raw(np.array(event.track_ids, "<i4").tobytes(), 4)
    for milliseconds in (event.since_ms, event.until_ms):
        writer.fields("iI", milliseconds // 1000, milliseconds % 1000 * 10**6)
    writer.fields("I", event.images)
    return writer.content()


class _Source:
    """Messages until they end, the user interrupts or the bag is damaged (kept in `broken`)."""

    def __init__(
        self, messages: Iterable[tuple[Any, int, bytes]], interrupted: Callable[[], bool]
    ) -> None:
        self.count = 0
        self.broken: BagError | None = None
        self._messages = messages
        self._interrupted = interrupted

    def __iter__(self) -> Iterator[tuple[Any, int, bytes]]:
        try:
            for message in self._messages:
                yield message
                self.count += 1
                if self._interrupted():
                    return
        except BagError as error:
            self.broken = error
