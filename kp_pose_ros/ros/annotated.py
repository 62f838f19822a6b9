# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated pictures, drawn and published in a thread of their own: poses do not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from threading import Lock
from time import monotonic

import cv2
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from kp_pose_ros.image.frame import Pixels, Size
from kp_pose_ros.image.jpeg import JPEG_FORMAT, JpegSettings, encode_jpeg
from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.output import cdr
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.qos import NEWEST
from kp_pose_ros.ros.rcl import Output
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes


@dataclass(frozen=True, slots=True)
class Presentation:
    """How poses become messages and pictures; replaced when parameters change."""

    vocabulary: Vocabulary  # what the indices in Poses mean
    annotator: Annotator  # draws the annotated picture
    jpeg: JpegSettings  # what its compressed form is like
    painter: Painter  # the thread that draws it
    lifter: Lifter  # finds keypoints in space
    times: StageTimes  # where the duration of each stage is recorded


@dataclass(frozen=True, slots=True)
class Picture:
    """An annotated picture to be drawn."""

    image: CameraImage  # what to draw on. Nothing else reads its pixels any more.
    poses: Poses  # what to draw, in pixels of the camera's picture
    presentation: Presentation  # how
    raw_width: int  # width of the raw picture, in pixels; 0: it has no subscriber
    jpeg_width: int  # the same for the compressed one


class Painter:
    """Draws and publishes the newest picture of each camera, in a thread of its own.

    A picture that a newer one overtakes is not drawn. `failed` is called, in the thread, with what
    drawing or publishing raises.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._pictures: dict[AnnotatedPictures, Picture] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, "painter")

    def paint(self, topics: AnnotatedPictures, picture: Picture) -> None:
        """Queue a picture to be drawn and published; return at once."""
        with self._lock:
            overtaken = self._pictures.get(topics)
            if overtaken is not None and overtaken.jpeg_width:
                # Its turn at the limited rate goes to this one.
                picture = replace(picture, jpeg_width=overtaken.jpeg_width)
            self._pictures[topics] = picture
        if overtaken is None:
            self._thread.submit(self._draw, topics)

    def settle(self) -> None:
        """Wait until everything is drawn."""
        with suppress(RuntimeError):  # closed
            self._thread.submit(lambda: None).result()

    def close(self) -> None:
        """End after the picture that is being drawn."""
        self._thread.shutdown(cancel_futures=True)

    def _draw(self, topics: AnnotatedPictures) -> None:
        with self._lock:
            picture = self._pictures.pop(topics)
        try:
            topics.publish(picture)
        except BaseException as error:  # the future keeps it to itself
            self._failed(error)


class AnnotatedPictures:
    """The topics `annotated` and `annotated/compressed` of one camera.

    A picture is drawn once, in the greatest width that has a subscriber.
    """

    def __init__(self, node: Node, prefix: str) -> None:
        """Create the publishers on `node`; `prefix` begins each topic's name."""
        self._raw = Output(node, Image, f"{prefix}annotated", NEWEST)
        # As with image_transport, remapping `annotated` also remaps its compressed form.
        compressed = node.resolve_topic_name(f"{prefix}annotated") + "/compressed"
        self._jpeg = Output(node, CompressedImage, compressed, NEWEST)
        self._message = cdr.ImageWriter()
        self._turn = -inf  # of the latest compressed picture, seconds of the monotonic clock

    def wanted(self) -> bool:
        """Return whether either topic has a subscriber."""
        return self._raw.wanted() or self._jpeg.wanted()

    def close(self) -> None:
        """Destroy the publishers."""
        self._raw.close()
        self._jpeg.close()

    def min_width(self, source: Size, jpeg: JpegSettings) -> int:
        """Return how many columns of a camera's picture of (height, width) are needed; 0: none."""
        return max(self._widths(source, jpeg))

    def show(self, image: CameraImage, poses: Poses, presentation: Presentation) -> None:
        """Queue the poses in an image to be drawn and published, if there is a subscriber.

        The picture is drawn into the image's own pixels where it can be.
        """
        raw_width, jpeg_width = self._widths(image.frame.source_size, presentation.jpeg)
        if not 0 < max(raw_width, jpeg_width) <= image.frame.size[1]:
            return  # no subscriber, or none yet when the frame was read with less detail
        if jpeg_width:
            self._turn = _next_turn(self._turn, presentation.jpeg.max_rate)
        picture = Picture(image, poses, presentation, raw_width, jpeg_width)
        presentation.painter.paint(self, picture)

    def publish(self, picture: Picture) -> None:
        """Draw a picture and publish it."""
        image, presentation = picture.image, picture.presentation
        times, width = presentation.times, max(picture.raw_width, picture.jpeg_width)
        with times.measure("annotate"):
            canvas, message = self._canvas(image, width)
            scale = width / image.frame.source_size[1]
            presentation.annotator.draw(canvas, picture.poses.scaled(scale))
        if picture.raw_width:
            with times.measure("publish annotated"):
                self._raw.publish(message)
        if picture.jpeg_width:
            with times.measure("compress annotated"):
                narrow = _narrowed(canvas, picture.jpeg_width)
                jpeg = encode_jpeg(narrow, presentation.jpeg.jpeg_quality)
            self._jpeg.publish(cdr.compressed_image(image.header, JPEG_FORMAT, jpeg))

    def _canvas(self, image: CameraImage, width: int) -> tuple[Pixels, Pixels]:
        """Return the image as a BGR picture of a width, to draw on, and the message around it.

        The message of a bgr8 camera serves as both: a copy would take as long as everything else.
        One that `rcl.take` got through rclpy is read-only, and copied.
        """
        picture = _narrowed(image.frame.to_bgr(), width)
        is_own = picture is image.frame.pixels and image.frame.encoding == "bgr8"
        if is_own and image.message is not None and picture.flags.writeable:
            return picture, image.message
        canvas = self._message.fill(image.header, picture)
        return canvas, self._message.content

    def _widths(self, source: Size, jpeg: JpegSettings) -> tuple[int, int]:
        """Return the widths of the raw and of the compressed picture; 0 for no picture."""
        raw = source[1] if self._raw.wanted() else 0
        if not self._jpeg.wanted():
            return raw, 0
        is_due = jpeg.max_rate == 0 or monotonic() >= self._turn + 1 / jpeg.max_rate
        return raw, jpeg.width(source) if is_due else 0


def _next_turn(turn: float, rate: float) -> float:
    """Return the turn of a picture that is due now, after the one at `turn`, seconds.

    Turns are a fixed time apart, so that images that come a little late now and then give the same
    number of pictures.
    """
    period, now = 1 / rate if rate else 0.0, monotonic()
    due = turn + period
    return due if now - due < period else now


def _narrowed(picture: Pixels, width: int) -> Pixels:
    height, columns = picture.shape[:2]
    if columns == width:
        return picture
    # Bilinear: averaging looks hardly better and takes nine times as long.
    return cv2.resize(picture, (width, max(1, round(height * width / columns))))  # type: ignore[return-value]
