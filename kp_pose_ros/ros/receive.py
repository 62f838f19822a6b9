# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The image subscription of one camera, and the watch over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from rclpy.node import Node, NodeNameNonExistentError
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from sensor_msgs.msg import CompressedImage, Image

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import compressed_to_frame
from kp_pose_ros.ros.gate import Gate
from kp_pose_ros.ros.images import image_to_frame
from kp_pose_ros.ros.qos import (
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
    image_qos,
    wanted_reliability,
)

SILENCE = 5.0  # seconds without a frame after which the log says so
# Whether rclpy says of a message which one of its publisher's it is; Humble's does not.
TELLS_INFO = hasattr(Subscription, "CallbackType")


@dataclass(frozen=True, slots=True)
class Transport:
    """A kind of image topic.

    Attributes:
        message: its type.
        type_name: what ROS calls the type.
        suffix: what its topics have behind the name of the raw image's.
        to_frame: reads a message, if the codec allows with no more than enough columns; raises
            ImageError.
    """

    message: type
    type_name: str
    suffix: str
    to_frame: Callable[[Any, MinWidth], Frame]


TRANSPORTS = {
    "raw": Transport(Image, "sensor_msgs/msg/Image", "", lambda image, _: image_to_frame(image)),
    "compressed": Transport(
        CompressedImage, "sensor_msgs/msg/CompressedImage", "/compressed", compressed_to_frame
    ),
}


class ImageSource:
    """Subscribes to a camera's images and says why, when none come."""

    def __init__(
        self,
        node: Node,
        name: str,
        *,
        label: str,
        transport: Transport,
        qos: str,
        gate: Gate,
        deliver: Callable[[Any, int], None],
        on_lost: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare; `start` subscribes.

        Args:
            node: the node that subscribes.
            name: the topic's relative name, without the transport's suffix.
            label: what the log calls the camera.
            transport: the kind of topic.
            qos: the parameter image_qos.
            gate: open while there is use for an image.
            deliver: called with a message and the number of those that were not taken before it.
            on_lost: called with a number of images that got lost on the way here, if the
                middleware tells; they are not among those that were not taken.
        """
        # As image_transport does: a remapped `image` takes its compressed form along.
        self.topic = node.resolve_topic_name(name) + transport.suffix
        self._node = node
        self._label = label
        self._transport = transport
        self._qos = qos
        self._gate = gate
        self._deliver = deliver
        self._on_lost = on_lost
        self._lost = 0  # images known to be lost, whose gap in the numbers is still to come
        self._sequence: dict[bytes | None, int] = {}  # by publisher, the number of its last image
        self._reliability = wanted_reliability(qos, ())
        self._subscription: Subscription[Any] | None = None
        self._newest: float | None = None  # when the newest image came

    def start(self) -> None:
        """Subscribe, unless that is done."""
        if self._subscription is None:
            self._last = monotonic()
            self._silent = False
            self._subscribe()

    def stop(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def age(self) -> float | None:
        """Return the seconds since the newest image came; None before the first."""
        self._excuse_closed_gate()
        return None if self._newest is None else monotonic() - self._newest

    def watch(self) -> None:
        """Follow the publishers' reliability and say once if frames are missing; call at 1 Hz."""
        if self._subscription is None:
            return
        publishers = [
            each
            for each in self._node.get_publishers_info_by_topic(self.topic)
            if each.topic_type == self._transport.type_name
        ]
        wanted = wanted_reliability(
            self._qos, (each.qos_profile.reliability for each in publishers)
        )
        if wanted != self._reliability:
            self._node.destroy_subscription(self._subscription)
            self._reliability = wanted
            self._subscribe()
        self._excuse_closed_gate()
        if not self._silent and monotonic() - self._last > SILENCE:
            self._silent = True
            self._node.get_logger().warning(self._why_silent(publishers))

    def _excuse_closed_gate(self) -> None:
        """Not count as the camera's silence that its images are not looked at."""
        if not self._gate.is_open():
            self._last = monotonic()
            self._newest = self._newest and self._last

    def _subscribe(self) -> None:
        subscribe = partial(
            self._node.create_subscription,
            self._transport.message,
            self.topic,
            self._on_message if TELLS_INFO else partial(self._on_message, info={}),
            image_qos(self._reliability),
            callback_group=self._gate,
        )
        events = partial(SubscriptionEventCallbacks, incompatible_qos=self._on_incompatible)
        self._lost = 0
        try:
            self._subscription = subscribe(
                event_callbacks=events(message_lost=self._on_message_lost)
            )
        except UnsupportedEventTypeError:  # a middleware that does not tell
            self._subscription = subscribe(event_callbacks=events())

    def _on_message(self, message: Any, info: Mapping[str, Any]) -> None:
        self._last = self._newest = monotonic()
        if self._silent:
            self._silent = False
            self._node.get_logger().info(f"{self._label}: frames come again on {self.topic}")
        self._deliver(message, self._skipped(info))

    def _on_message_lost(self, event: Any) -> None:
        self._lost += event.total_count_change
        self._on_lost(event.total_count_change)

    def _skipped(self, info: Mapping[str, Any]) -> int:
        """Return how many images that arrived lie between this one and the one taken before.

        Humble's rclpy does not tell: there it is always 0. Jazzy's does not tell whose image it is:
        there all count as one camera's, as it should be on one topic.
        """
        number: int | None = info.get("publication_sequence_number")
        if number is None:
            return 0
        publisher = info.get("publisher_gid", {}).get("data")
        before = self._sequence.get(publisher, number - 1)
        self._sequence = {publisher: number}  # of a camera that started anew, only the new one
        gap = max(0, number - before - 1)
        lost = min(gap, self._lost)
        self._lost -= lost
        return gap - lost

    def _on_incompatible(self, event: Any) -> None:
        if self._qos == "auto":
            return  # the next watch() follows the publisher
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._node.get_logger().warning(
            f"{self._label}: a publisher of {self.topic} offers a {policy} that does not match "
            f"image_qos '{self._qos}', so its frames do not arrive: set the parameter image_qos "
            "to 'auto'"
        )

    def _why_silent(self, publishers: list[TopicEndpointInfo]) -> str:
        waiting = f"{self._label}: waiting for {self.topic} ({self._transport.type_name})"
        if publishers:
            return f"{waiting}: it has a publisher, but no frame came for {SILENCE:g} s"
        existing = ", ".join(sorted(self._topics_of_others())) or "none"
        return f"{waiting}: nobody publishes it; image topics that exist: {existing}"

    def _topics_of_others(self) -> set[str]:
        """Return the image topics that other nodes publish, with their types."""
        types = {each.type_name for each in TRANSPORTS.values()}
        us = self._node.get_name(), self._node.get_namespace()
        topics: set[str] = set()
        # By node, since a topic that is asked for by name is remapped as our own are.
        for other in set(self._node.get_node_names_and_namespaces()) - {us}:
            with suppress(NodeNameNonExistentError):  # it has just ended
                topics.update(
                    f"{topic} ({', '.join(found)})"
                    for topic, found in self._node.get_publisher_names_and_types_by_node(*other)
                    if types.intersection(found)
                )
        return topics
