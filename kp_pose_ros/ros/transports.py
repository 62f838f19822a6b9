# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image topics: of which kind a camera's is, its message class, and those of other nodes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from rclpy.node import Node, NodeNameNonExistentError

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.topics import COMPRESSED_DEPTH, TRANSPORTS, Transport


def topic_of(transport: Transport, node: Node, name: str) -> str:
    """Return a topic's name from that of the raw image.

    As with image_transport, remapping `image` also remaps its compressed form. A name that already
    is one of this transport stays as it is, unresolved, since it would be remapped twice.
    """
    resolved = node.resolve_topic_name(name)
    return name if resolved.endswith(transport.suffix) else resolved + transport.suffix


def transport_of(topic: str, parameter: str) -> Transport:
    """Return the kind of an image topic, by the suffix of its name, else by the parameter.

    Args:
        topic: the resolved name of `image`.
        parameter: the value of the parameter image_transport.
    """
    named = (each for each in TRANSPORTS.values() if each.suffix and topic.endswith(each.suffix))
    return next(named, TRANSPORTS[parameter])


def message_class(type_name: str) -> Any:
    """Return the class of a message type such as sensor_msgs/msg/Image.

    Raises:
        SettingsError: the type's package is not installed.
    """
    package, _, name = type_name.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except ImportError as error:
        raise SettingsError(
            f"the images are {type_name}, and the ROS package {package} is not installed: install "
            f"it (apt install ros-$ROS_DISTRO-{package.replace('_', '-')}), or read a raw or "
            "compressed image topic"
        ) from error


def image_topics_of_others(node: Node) -> dict[str, list[str]]:
    """Return the image topics that other nodes publish, with their types."""
    types = {each.type_name for each in TRANSPORTS.values()}
    us = node.get_name(), node.get_namespace()
    topics: dict[str, list[str]] = {}
    # By node, since rclpy remaps topics that are looked up by name.
    for other in set(node.get_node_names_and_namespaces()) - {us}:
        with suppress(NodeNameNonExistentError):  # the node has just ended
            found = node.get_publisher_names_and_types_by_node(*other)
            topics |= {topic: kinds for topic, kinds in found if types & set(kinds)}
    return topics


def depth_advice(topic: str, topics: Mapping[str, list[str]]) -> str:
    """Return how to read a depth image that is published only compressed, as `advice` does."""
    others = (f"{topic}{suffix}" for suffix in (COMPRESSED_DEPTH, "/compressed", "/zstd"))
    found = next((each for each in others if each in topics), None)
    if found is None:
        return ""
    return (
        f", but {found} has a publisher, and only raw depth images are read: have "
        f"image_transport's republish decode it to {topic}"
    )


def advice(transport: Transport, topic: str, topics: Mapping[str, list[str]]) -> str:
    """Return how to read the image topic of another kind, as part of a sentence.

    Args:
        transport: the kind of the camera's topic.
        topic: its resolved name; it has no publisher.
        topics: those of other nodes, with their types.
    """
    base = topic.removesuffix(transport.suffix)
    for name, each in TRANSPORTS.items():
        if each.type_name in topics.get(base + each.suffix, ()):
            return (
                f", but {base}{each.suffix} has a publisher: set the parameter image_transport to "
                f"'{name}' (pose.launch.py: image_transport:={name})"
            )
    for name, each in TRANSPORTS.items():
        if each.type_name in topics.get(base, ()):
            return (
                f", but {base} has messages of the type {each.type_name}: set the parameter "
                f"image_transport to '{name}', and remap {base}{each.suffix} to {base}"
            )
    return ""
