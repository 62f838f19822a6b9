# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures with the poses drawn: raw for this machine, JPEG for a thin network."""

from __future__ import annotations

import array

import cv2
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from kp_pose_ros.image.frame import Frame, Pixels, Size
from kp_pose_ros.image.jpeg import JPEG_FORMAT, encode_jpeg
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.images import PictureMessage
from kp_pose_ros.ros.pace import Pace
from kp_pose_ros.ros.presentation import JpegSettings, Presentation
from kp_pose_ros.ros.qos import NEWEST
from kp_pose_ros.ros.stamps import nanoseconds


class AnnotatedPictures:
    """The topics `annotated` and `annotated/compressed` of one camera.

    A picture is drawn once, in the greatest width that somebody wants.
    """

    def __init__(self, node: Node, prefix: str) -> None:
        """Create the publishers on `node`; `prefix` stands before each topic's name."""
        self._node = node
        self._raw = node.create_publisher(Image, f"{prefix}annotated", NEWEST)
        # As image_transport does: a remapped `annotated` takes its compressed form along.
        compressed = node.resolve_topic_name(f"{prefix}annotated") + "/compressed"
        self._jpeg = node.create_publisher(CompressedImage, compressed, NEWEST)
        self._picture = PictureMessage()
        self._pace = Pace()

    def wanted(self) -> bool:
        """Return whether anybody subscribes."""
        return any(each.get_subscription_count() for each in (self._raw, self._jpeg))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._raw, self._jpeg):
            self._node.destroy_publisher(publisher)

    def columns(self, source: Size, header: Header, jpeg: JpegSettings) -> int:
        """Return how many columns of a camera's picture somebody wants to see.

        Args:
            source: the picture's height and width, in pixels.
            header: of its message.
            jpeg: what a compressed one is like.
        """
        return max(self._wanted(source, header, jpeg))

    def publish(
        self, header: Header, frame: Frame, poses: Poses, presentation: Presentation
    ) -> None:
        """Draw the poses that were found in `frame`, if somebody wants to see them, and publish."""
        jpeg, times, source = presentation.jpeg, presentation.times, frame.source_size
        raw_columns, jpeg_columns = self._wanted(source, header, jpeg)
        columns = max(raw_columns, jpeg_columns)
        if not 0 < columns <= frame.size[1]:
            return  # nobody looks, or nobody did when the frame was read with less detail
        with times.measure("annotate"):
            picture = self._picture.fill(header, _narrowed(frame.to_bgr(), columns))
            presentation.annotator.draw(picture, poses.scaled(columns / source[1]))
        if raw_columns:
            with times.measure("publish annotated"):
                self._raw.publish(self._picture.message)
        if jpeg_columns:
            with times.measure("compress annotated"):
                content = encode_jpeg(_narrowed(picture, jpeg_columns), jpeg.quality)
            message = CompressedImage(header=header, format=JPEG_FORMAT)
            # rclpy copies anything else byte by byte.
            message.data = array.array("B", content.tobytes())
            self._jpeg.publish(message)
            self._pace.taken(nanoseconds(header.stamp), jpeg.max_rate)

    def _wanted(self, source: Size, header: Header, jpeg: JpegSettings) -> tuple[int, int]:
        """Return how many columns of the raw and of the compressed picture; 0 for no picture."""
        raw = source[1] if self._raw.get_subscription_count() else 0
        if not self._jpeg.get_subscription_count():
            return raw, 0
        is_due = self._pace.is_due(nanoseconds(header.stamp), jpeg.max_rate)
        return raw, jpeg.columns(source) if is_due else 0


def _narrowed(picture: Pixels, columns: int) -> Pixels:
    height, width = picture.shape[:2]
    if columns == width:
        return picture
    # Bilinear: averaging looks hardly better and takes nine times as long.
    return cv2.resize(picture, (columns, max(1, round(height * columns / width))))  # type: ignore[return-value]
