# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag have images, and the topics of their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.cdr import (
    Header,
    VideoPacket,
    read_compressed_video,
    read_ffmpeg_packet,
)
from kp_pose_ros.image.frame import BitDepth, Frame, Pixels
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import read_compressed, read_raw
from kp_pose_ros.image.video import VideoStream

Images = list[tuple[Header, Frame]]


class ImageReader:
    """Reads the raw images of one topic."""

    def __init__(self) -> None:
        self._bit_depth = BitDepth()

    def read(self, content: Pixels, min_width: MinWidth | None) -> Images:
        """Return the images that a message completes.

        Args:
            content: the serialized message.
            min_width: see `decode_compressed`.

        Raises:
            FrameError: the message cannot be read.
        """
        image = read_raw(content)
        return [(image.header, self._bit_depth.of(image.frame))]

    def finish(self) -> Images:
        """Return the images still held back when the topic ends."""
        return []


class CompressedImageReader(ImageReader):
    """Reads the JPEG and PNG images of one topic."""

    def read(self, content: Pixels, min_width: MinWidth | None) -> Images:
        """See `ImageReader`."""
        image = read_compressed(content, min_width)
        return [(image.header, image.frame)]


class VideoReader(ImageReader):
    """Reads the video stream of one topic."""

    def __init__(self, parse: Callable[[Pixels], VideoPacket]) -> None:
        self._parse = parse
        self._stream = VideoStream()

    def read(self, content: Pixels, min_width: MinWidth | None) -> Images:
        """See `ImageReader`."""
        return [(each.header, each.frame()) for each in self._stream.decode(self._parse(content))]

    def finish(self) -> Images:
        """See `ImageReader`."""
        return [(each.header, each.frame()) for each in self._stream.finish()]


IMAGE_TYPES: dict[str, Callable[[], ImageReader]] = {
    "sensor_msgs/msg/Image": ImageReader,
    "sensor_msgs/msg/CompressedImage": CompressedImageReader,
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": partial(VideoReader, read_ffmpeg_packet),
    "foxglove_msgs/msg/CompressedVideo": partial(VideoReader, read_compressed_video),
}
_DEPTH = "/compressedDepth"  # has the type CompressedImage, but no pictures
_TRANSPORTS = ("/compressed", "/ffmpeg", "/foxglove")  # suffixes after the raw image's name
POSES, DETECTIONS, SKELETON, ANNOTATED = "poses", "detections", "skeleton", "annotated/compressed"
ACTIVITIES = "activities"


def image_topics(types: Mapping[str, str], wanted: Sequence[str] | None) -> list[str]:
    """Return the image topics to process.

    Args:
        types: type of each of the bag's topics, by its name.
        wanted: the topics to process, or None for all images.

    Raises:
        SettingsError: a wanted topic does not exist or has no images, or there are none at all.
    """
    images = [
        topic
        for topic, type_name in types.items()
        if type_name in IMAGE_TYPES and not topic.endswith(_DEPTH)
    ]
    if not images:
        raise SettingsError(
            f"the bag has no images: expected a topic of type {', '.join(IMAGE_TYPES)}"
        )
    for topic in wanted or ():
        if topic not in images:
            found = f"is a topic of type {types[topic]}" if topic in types else "is not in the bag"
            raise SettingsError(f"{topic} {found}: expected one of {', '.join(images)}")
    return list(dict.fromkeys(wanted or images))


def result_prefixes(images: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Return, by image topic, the prefix of its results' names.

    Results go beside the image, like those of the node: /front/poses for /front/image_raw, and for
    /front/image_raw/compressed. If another topic has that name, they go below the image:
    /front/image_raw/poses.

    Args:
        images: the image topics that are processed.
        taken: the names of all topics in the bag.

    Raises:
        SettingsError: the names below an image are taken as well.
    """
    beside = {topic: _namespace(topic) for topic in images}
    count = Counter(beside.values())
    prefixes = {}
    for topic, namespace in beside.items():
        free = count[namespace] == 1 and not _clashes(namespace, taken)
        prefixes[topic] = namespace if free else f"{topic}/"
        if clashes := _clashes(prefixes[topic], taken):
            raise SettingsError(
                f"the bag has a topic {clashes[0]} already: leave {topic} out with --topics"
            )
    return prefixes


def _namespace(topic: str) -> str:
    for transport in _TRANSPORTS:
        topic = topic.removesuffix(transport)
    return topic.rpartition("/")[0] + "/"


def _clashes(prefix: str, taken: Collection[str]) -> list[str]:
    names = (POSES, DETECTIONS, SKELETON, ANNOTATED, ACTIVITIES)
    return [prefix + name for name in names if prefix + name in taken]
