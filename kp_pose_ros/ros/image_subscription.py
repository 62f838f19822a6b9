# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The subscription to an image topic: follows the publishers' QoS and reports missing images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_policy_name_from_kind
from rclpy.subscription import Subscription

from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.compat import (
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
    declared_names,
)
from kp_pose_ros.ros.executor import Gate
from kp_pose_ros.ros.qos import image_qos, publishers_of
from kp_pose_ros.ros.transports import image_topics_of_others, message_class
from kp_pose_ros.timing import Throttle

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo  # Lyrical: rclpy.endpoint_info

SILENCE = 5.0  # seconds without an image before a warning
_PUBLISHERS = 8  # of one topic that are told apart; a restarted camera is a new one
_ERROR_PERIOD = 10.0  # seconds between two log lines about messages that cannot be taken


class ImageSubscription:
    """A subscription to a camera's images, from `start` to `stop`.

    Attributes:
        topic: its resolved name.
        current: rclpy's subscription; None while stopped.
        fault: why images that arrive are lost to `take`; empty if they are not.
        is_gap: whether messages are missing directly before the one last taken.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        *,
        type_name: str,
        label: str,
        qos: str,
        is_listening: Callable[[], bool],
        group: CallbackGroup | None = None,
        callback: Callable[[Any], None] | None = None,
        queue: int = 1,
        on_lost: Callable[[int], None] = lambda _: None,
        advise: Callable[[str, Mapping[str, list[str]]], str] = lambda *_: "",
    ) -> None:
        """Prepare; `start` subscribes.

        Args:
            node: the node that subscribes.
            name: the unresolved topic name (rclpy would remap a resolved one a second time).
            type_name: the ROS name of the message type.
            label: the camera's name in the log.
            qos: the parameter image_qos.
            is_listening: returns whether images are taken now; if not, none count as missing.
            group: that of `callback`.
            callback: called with each message, in the executor; None: `take` takes them.
            queue: the size of the queue for `take`; usually 1, since older images are stale.
            on_lost: called with the number of images that the middleware reports as lost.
            advise: returns what to do about a topic without publishers; see `advice`.

        Raises:
            SettingsError: the package of the type is not installed.
        """
        self._message_class = message_class(type_name)
        self.topic = node.resolve_topic_name(name)
        self._name = name
        self.current: Subscription[Any] | None = None
        self.fault = ""
        self._node = node
        self._type_name = type_name
        self._label = label
        self._qos = qos
        # An executor would wake up for every image. Behind a gate that stays closed, the newest one
        # waits in the middleware's queue until the worker takes it.
        self._group = group or Gate(node)
        self._is_listening = is_listening
        self._callback = callback
        self._on_lost = on_lost
        self._lost = 0  # lost images whose gap in the sequence numbers has not been seen yet
        # By publisher, the number of its last image; the latest publisher comes last.
        self._numbers: dict[bytes, int] = {}
        self._advise = advise
        self._queue = queue
        self._profile = image_qos(qos, (), queue)  # before the user's overrides
        self.is_gap = True
        # The executor replaces the subscription while the worker takes from it; both handle events.
        self._lock = RLock()
        self._throttle = Throttle(_ERROR_PERIOD)
        self._has_come = self._is_silent = False
        self._last = monotonic()  # when the newest image came, or none could come

    def start(self) -> None:
        """Subscribe, unless already subscribed."""
        if self.current is None:
            self._last = monotonic()
            self._is_silent = False
            self.fault = ""
            self._profile = image_qos(self._qos, self._publishers(), self._queue)
            self._subscribe()

    def stop(self) -> None:
        """Unsubscribe."""
        if self.current is not None:
            subscription, self.current = self.current, None
            self._node.destroy_subscription(subscription)

    def take(self) -> tuple[Pixels, int] | None:
        """Take the newest message, in any thread; None if there is none.

        One that rcl cannot take is logged, and counts as lost.

        Returns:
            Its CDR bytes, and how many images arrived since the last one taken but were skipped.

        Raises:
            InvalidHandle: the subscription has just been destroyed.
        """
        subscription = self.current
        try:
            taken = rcl.take(subscription) if subscription is not None else None
        except rcl.MiddlewareError as error:
            self._fail(error)
            return None
        if taken is None:
            return None
        content, publisher, number = taken
        self.arrived()
        with self._lock:
            if subscription is not self.current:  # replaced meanwhile: its numbers have ended
                return content, 0
            return content, self._skipped(publisher, number)

    def age(self) -> float | None:
        """Return the seconds since the newest image came; None before the first."""
        self._excuse_if_not_listening()
        return monotonic() - self._last if self._has_come else None

    def watch(self) -> bool:
        """Follow the publishers' QoS and warn once if images are missing; call at 1 Hz.

        Returns:
            Whether `current` has been replaced.
        """
        if self.current is None:
            return False
        publishers = self._publishers()
        wanted = image_qos(self._qos, publishers, self._queue)
        self.handle_events()
        is_replaced = wanted != self._profile
        if is_replaced:
            self._profile = wanted
            self.stop()
            self._subscribe()
        self._excuse_if_not_listening()
        if not self._is_silent and monotonic() - self._last > SILENCE:
            self._is_silent = True
            self._node.get_logger().warning(self._why_silent(publishers))
        return is_replaced

    def _publishers(self) -> list[TopicEndpointInfo]:
        return publishers_of(self._node, self._name, self._type_name)

    def _excuse_if_not_listening(self) -> None:
        if not self._is_listening():
            self._last = monotonic()

    def _subscribe(self) -> None:
        subscribe = partial(
            self._node.create_subscription,
            self._message_class,
            self._name,
            self._on_message,
            self._profile,
            callback_group=self._group,
        )
        events = partial(SubscriptionEventCallbacks, incompatible_qos=self._on_incompatible)
        with self._lock:
            self._lost = 0
            self._numbers.clear()  # what is sent between two subscriptions did not arrive
            try:
                lost = events(message_lost=lambda event: self._lose(event.total_count_change))
                self.current = subscribe(event_callbacks=lost)
            except UnsupportedEventTypeError:  # a middleware that does not report losses
                self.current = subscribe(event_callbacks=events())
        qos = self.current.qos_profile
        self._node.get_logger().debug(
            f"{self._label}: subscribes to {self.topic} ({self._type_name}), "
            f"{qos.reliability.name.lower()}, {qos.durability.name.lower()}, queue of {qos.depth}"
        )

    def _on_message(self, message: Any) -> None:
        self.arrived()
        if self._callback is not None:
            self._callback(message)
        elif not self.fault:
            self.fault = (
                "the program's executor takes the images away, as it ignores callback groups: spin "
                "the node with kp_pose_ros's GuardedExecutor, or rclpy's SingleThreadedExecutor or "
                "MultiThreadedExecutor"
            )
            self._node.get_logger().error(f"{self._label}: {self.topic}: {self.fault}")

    def arrived(self) -> None:
        """Note that an image has come, taken or not; in any thread."""
        self._last, self._has_come = monotonic(), True
        if self._is_silent:
            self._is_silent = False
            self._node.get_logger().info(f"{self._label}: images arrive again on {self.topic}")

    def handle_events(self) -> None:
        """Count the lost images if no executor does; in any thread."""
        with self._lock, suppress(rcl.InvalidHandle):
            if self.current is not None and self._callback is None:
                rcl.handle_events(self._node.context, self.current)

    def _lose(self, images: int) -> None:
        with self._lock:
            self._lost += images
            self._on_lost(images)

    def _fail(self, error: rcl.MiddlewareError) -> None:
        """Note that a message could not be taken, unless because the program ends."""
        if self._node.context.ok():
            self._lose(1)
            if self._throttle.passes(""):
                self._node.get_logger().error(f"{self._label}: {error}")

    def _skipped(self, publisher: bytes, number: int | None) -> int:
        """Return how many images arrived between this one and the one taken before."""
        if number is None:
            self.is_gap = False
            return 0
        if publisher != next(reversed(self._numbers), b""):
            # Losses before the first image of a publisher, or after its last one, are in no gap.
            self.handle_events()
            self._lost = 0
        before = self._numbers.pop(publisher, None)
        self._numbers[publisher] = number
        if len(self._numbers) > _PUBLISHERS:
            del self._numbers[next(iter(self._numbers))]
        self.is_gap = before != number - 1
        if before is None:
            return 0
        gap = max(0, number - before - 1)
        if gap:
            self.handle_events()  # they report lost images
        lost = min(gap, self._lost)
        self._lost -= lost
        return gap - lost

    def _on_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind).lower()
        override = f"qos_overrides.{self.topic}.subscription.{policy}"
        if override in declared_names(self._node):
            cause, mend = f"the parameter {override}", "change or remove it"
        elif self._qos != "auto":
            cause, mend = f"image_qos '{self._qos}'", "set the parameter image_qos to 'auto'"
        else:
            return  # the next watch() follows the publisher
        self._node.get_logger().warning(
            f"{self._label}: a publisher of {self.topic} offers a {policy} that does not match "
            f"{cause}, so its images do not arrive: {mend}"
        )

    def _why_silent(self, publishers: list[TopicEndpointInfo]) -> str:
        waiting = f"{self._label}: waiting for {self.topic} ({self._type_name})"
        if publishers:
            return f"{waiting}: it has a publisher, but no image arrived for {SILENCE:g} s"
        topics = image_topics_of_others(self._node)
        advice = self._advise(self.topic, topics)
        existing = ", ".join(f"{name} ({', '.join(topics[name])})" for name in sorted(topics))
        return (
            f"{waiting}: no node publishes it{advice}; image topics that exist: "
            f"{existing or 'none'}"
        )
