# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag have images, and the topics of their results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.topics import COMPRESSED_DEPTH, TRANSPORTS

DECODERS = {each.type_name: each.decoder for each in TRANSPORTS.values()}
POSES, DETECTIONS, SKELETON, ANNOTATED = "poses", "detections", "skeleton", "annotated/compressed"
ACTIVITIES = "activities"


def image_topics(types: Mapping[str, str], wanted: Sequence[str] | None) -> list[str]:
    """Return the image topics of a bag (name -> type) to process: all, or those that are wanted.

    Raises:
        SettingsError: a wanted topic does not exist or has no images, or there are none at all.
    """
    images = [
        topic
        for topic, type_name in types.items()
        if type_name in DECODERS and not topic.endswith(COMPRESSED_DEPTH)
    ]
    if not images:
        found = ", ".join(f"{topic} ({each})" for topic, each in sorted(types.items()))
        raise SettingsError(
            f"the bag has no images: expected a topic of type {', '.join(DECODERS)}; it has "
            f"{found or 'no topics'}"
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
    /front/image_raw/poses. `taken` are the names of all topics in the bag.

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
    for transport in TRANSPORTS.values():
        topic = topic.removesuffix(transport.suffix)
    return topic.rpartition("/")[0] + "/"


def _clashes(prefix: str, taken: Collection[str]) -> list[str]:
    names = (POSES, DETECTIONS, SKELETON, ANNOTATED, ACTIVITIES)
    return [prefix + name for name in names if prefix + name in taken]
