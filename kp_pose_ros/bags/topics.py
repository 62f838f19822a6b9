# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag are images, and where their results go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import compressed_to_frame, image_to_frame

# Readers of a message, told how many columns of it are enough (None: all).
IMAGE_TYPES: dict[str, Callable[[Any, MinWidth | None], Frame]] = {
    "sensor_msgs/msg/Image": lambda image, _: image_to_frame(image),
    "sensor_msgs/msg/CompressedImage": compressed_to_frame,
}
POSES, DETECTIONS, SKELETON, ANNOTATED = "poses", "detections", "skeleton", "annotated/compressed"
ACTIVITIES = "activities"


def image_topics(types: Mapping[str, str], wanted: Sequence[str] | None) -> list[str]:
    """Return the image topics to look at.

    Args:
        types: type of each of the bag's topics, by its name.
        wanted: the names to look at, or None for all images.

    Raises:
        SettingsError: a wanted topic does not exist or has no images, or there are none at all.
    """
    images = [topic for topic, type_name in types.items() if type_name in IMAGE_TYPES]
    if not images:
        raise SettingsError(
            f"the bag has no images: expected a topic of type {' or '.join(IMAGE_TYPES)}"
        )
    for topic in wanted or ():
        if topic not in images:
            found = f"is a topic of type {types[topic]}" if topic in types else "is not in the bag"
            raise SettingsError(f"{topic} {found}: expected one of {', '.join(images)}")
    return list(dict.fromkeys(wanted or images))


def result_prefixes(images: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Return by image topic what stands before the names of its results.

    Results lie beside the image, as the node's would: /front/poses for /front/image_raw, and for
    /front/image_raw/compressed. Where another topic has that name they lie below the image:
    /front/image_raw/poses.

    Args:
        images: the image topics that are looked at.
        taken: the names of all topics in the bag.

    Raises:
        SettingsError: the names below an image are taken, too.
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
    return topic.removesuffix("/compressed").rpartition("/")[0] + "/"


def _clashes(prefix: str, taken: Collection[str]) -> list[str]:
    names = (POSES, DETECTIONS, SKELETON, ANNOTATED, ACTIVITIES)
    return [prefix + name for name in names if prefix + name in taken]
