# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag's messages copied, and the poses in its images written beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.bags.encoder import ACTIVITY, PICTURE, POSE_ARRAY, Encoder
from kp_pose_ros.bags.encoder import DETECTIONS as DETECTIONS_TYPE
from kp_pose_ros.bags.encoder import SKELETON as SKELETON_TYPE
from kp_pose_ros.bags.files import Output
from kp_pose_ros.bags.looker import BagImage, Looker
from kp_pose_ros.bags.topics import ACTIVITIES, ANNOTATED, DETECTIONS, IMAGE_TYPES, POSES, SKELETON
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import ImageError
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import Poses
from kp_pose_ros.tracking.tracker import Tracker


@dataclass(slots=True)
class Count:
    """What became of one topic's images.

    Attributes:
        images: how many were looked at.
        poses: how many poses were found in them.
        bad: how many could not be read.
        reason: why the first of them could not.
    """

    images: int = 0
    poses: int = 0
    bad: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """What is made of the poses besides messages.

    Attributes:
        recorders: by image topic; None: neither records nor activities are wanted.
        records: where the records go, if they are wanted.
        activities: finds those that are written on `activities`, if they are wanted.
    """

    recorders: Mapping[str, Recorder] | None = None
    records: TextIO | None = None
    activities: Activities | None = None


class Rerun:
    """Copies messages in the order that they are given, and adds the results."""

    def __init__(
        self,
        output: Output,
        store: Any,
        encoder: Encoder,
        estimator: PoseEstimator,
        prefixes: Mapping[str, str],
        *,
        trackers: Mapping[str, Tracker],
        annotator: Annotator | None,
        results: Results,
        min_width: MinWidth,
        progress: Callable[[], object],
    ) -> None:
        """Make a rerun.

        Args:
            output: where everything goes.
            store: the typestore that images are read with.
            encoder: makes the messages.
            estimator: what finds the poses; its engine is closed with `looker`.
            prefixes: what stands before the names of results, by image topic.
            trackers: by image topic, what tells who is who from image to image.
            annotator: draws pictures that are written, too; None for none.
            results: records and activities, besides the messages.
            min_width: how many columns of a picture the network takes in; a JPEG that nobody
                draws on is decoded no larger.
            progress: called after each image.
        """
        self.counts = {topic: Count() for topic in prefixes}
        self.looker = Looker(estimator, self._write)
        self._output = output
        self._store = store
        self._encoder = encoder
        self._prefixes = prefixes
        self._trackers = trackers
        self._annotator = annotator
        self._results = results
        self._min_width = None if annotator else min_width
        self._progress = progress

    def run(
        self, messages: Iterable[tuple[Any, int, bytes]], interrupted: Callable[[], bool]
    ) -> int:
        """Take messages until they end or somebody interrupts; return how many were taken.

        Args:
            messages: connection, time of arrival in nanoseconds and content of each.
            interrupted: asked after each message.

        Raises:
            BagError: the output cannot be written.
            EngineError: the engine failed.
        """
        taken = 0
        for message in messages:
            self._take(*message)
            taken += 1
            if interrupted():
                break
        self.looker.finish()
        return taken

    def _take(self, connection: Any, stamp: int, content: bytes) -> None:
        self._output.copy(connection, stamp, content)
        if connection.topic not in self._prefixes:
            return
        try:
            image = self._read(connection, stamp, content)
        except ImageError as error:
            count = self.counts[connection.topic]
            count.bad += 1
            count.reason = count.reason or str(error)
            self._progress()
        else:
            self.looker.add(image)

    def _read(self, connection: Any, stamp: int, content: bytes) -> BagImage:
        type_name = connection.msgtype
        try:
            message = self._store.deserialize_cdr(content, type_name)
        except Exception as error:  # rosbags lets struct's, numpy's and its own errors through
            raise ImageError(
                "data", f"the message is no {type_name} ({' '.join(str(error).split())})"
            ) from error
        frame = IMAGE_TYPES[type_name](message, self._min_width)
        return BagImage(connection.topic, stamp, message.header, frame)

    def _write(self, image: BagImage, found: Poses) -> None:
        taken = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        poses = self._trackers[image.topic].update(found, taken, image.frame.source_size)
        prefix, count = self._prefixes[image.topic], self.counts[image.topic]
        write, encoder, stamp = self._output.write, self._encoder, image.stamp
        if not count.images:
            write(prefix + SKELETON, SKELETON_TYPE, stamp, encoder.skeleton(), latched=True)
        message = encoder.poses(poses, image.header, image.frame.source_size)
        write(prefix + POSES, POSE_ARRAY, stamp, message)
        detections = encoder.detections(poses, image.header)
        write(prefix + DETECTIONS, DETECTIONS_TYPE, stamp, detections)
        notes = self._write_record(image, poses, taken)
        if self._annotator:
            picture = image.frame.to_bgr().copy()
            self._annotator.draw(picture, poses, notes)
            content = encoder.picture(picture, image.header)
            write(prefix + ANNOTATED, PICTURE, stamp, content)
        count.images += 1
        count.poses += len(poses)
        self._progress()

    def _write_record(
        self, image: BagImage, poses: Poses, taken: int
    ) -> Mapping[int, Sequence[str]] | None:
        """Write the record and the activities of an image; return what people do, by track id."""
        results = self._results
        if results.recorders is None:
            return None
        record = results.recorders[image.topic].record(
            poses,
            stamp=taken,
            frame_id=image.header.frame_id,
            size=image.frame.source_size,
        )
        if results.records is not None:
            results.records.write(json.dumps(record) + "\n")
        if results.activities is None:
            return None
        topic = self._prefixes[image.topic] + ACTIVITIES
        for event in results.activities.update(record):
            content = self._encoder.activity(event, image.header)
            self._output.write(topic, ACTIVITY, image.stamp, content)
        return results.activities.active("", image.topic)
