# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`/diagnostics`: the status of the node and each of its cameras, once a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.node import Node

from kp_pose_ros.resources import versions
from kp_pose_ros.ros.board import readings
from kp_pose_ros.ros.process import large_images_profile, profile_variable
from kp_pose_ros.ros.qos import publishers_of
from kp_pose_ros.settings import setting
from kp_pose_ros.timing import PERCENTILES, StageTimes, Throttle, percentiles

if TYPE_CHECKING:
    from kp_pose_ros.ros.camera import Camera

_LOSSES_PERIOD = 60.0  # seconds between two warnings
_MANY_LOST = 10  # images; a few get lost while nodes find each other
_SHARE_LOST = 0.01  # of the images sent; the odd one is lost on any wireless network


class Level(IntEnum):
    """Severities, with the numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds of the warnings and errors on /diagnostics."""

    warn_age: float = setting(1.5, "Seconds without an image before a WARN.", limits=(0, 3600))
    error_age: float = setting(30.0, "Seconds without an image before an ERROR.", limits=(0, 86400))
    warn_latency: float = setting(
        1.0, "Seconds from stamp to poses (95th percentile) above which to WARN.", limits=(0, 3600)
    )
    warn_bad: float = setting(
        0.0, "Share of unreadable, or of lost, images above which to WARN.", limits=(0, 1)
    )


@dataclass(slots=True)
class Counts:
    """What became of a camera's frames.

    `received` is the sum of unwanted, dropped, bad, failed, processed and those in progress.
    """

    lost: int = 0  # frames that were sent, but did not arrive
    received: int = 0  # frames that arrived
    unwanted: int = 0  # nothing subscribed to results
    dropped: int = 0  # a newer frame, or a pause, came before the worker was free
    # could not be read; by the message's field at fault
    bad: Counter[str] = field(default_factory=Counter)
    failed: int = 0  # the engine failed on them, or their poses could not be published
    processed: int = 0  # their poses were published
    with_depth: int = 0  # processed with a depth image and a calibration
    without_depth: int = 0  # processed without one of them, although depth is enabled
    repeated: int = 0  # processed with the same stamp as the frame before
    back: int = 0  # processed with an earlier stamp than the frame before

    def copy(self) -> Counts:
        """Return the counts as they are now."""
        return replace(self, bad=Counter(self.bad))

    def since(self, before: Counts) -> Counts:
        """Return what has been counted since `before`."""
        names = [each.name for each in fields(self)]
        return Counts(**{name: getattr(self, name) - getattr(before, name) for name in names})


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a camera's frames between two checks."""

    counts: Counts
    seconds: float  # the time between the checks
    age: float | None  # seconds since its newest image; None before the first
    busy: float  # seconds since the worker last waited for its images
    # seconds from stamp to poses at the 95th percentile; None if there were none
    latency: float | None
    fault: str = ""  # why its images are lost within this node; empty if they are not

    @property
    def rate(self) -> float:
        """Images received a second."""
        return self.counts.received / self.seconds

    @property
    def processed_rate(self) -> float:
        """Images a second whose poses were published."""
        return self.counts.processed / self.seconds

    def judge(self, limits: Limits) -> tuple[Level, str]:
        """Return the camera's level and why, as docs/integration.md lists them."""
        if self.fault:
            return Level.ERROR, self.fault
        for seconds, words in (
            (self.busy, "no image was taken for {:.1f} s: the network is busy"),
            (self.age, "no image for {:.1f} s"),
        ):
            if seconds is None:
                return Level.WARN, "waiting for the first image"
            if seconds > limits.warn_age:
                level = Level.ERROR if seconds > limits.error_age else Level.WARN
                return level, words.format(seconds)
        if self.counts.failed:
            return Level.ERROR, "the engine or publishing fails: the log says why"
        if fault := self._fault_of_images(limits):
            return Level.WARN, fault
        return self._judge_results(limits)

    def _fault_of_images(self, limits: Limits) -> str:
        """Return what is wrong with the images; empty if nothing is."""
        bad, received, lost = self.counts.bad, self.counts.received, self.counts.lost
        if (unread := bad.total()) > limits.warn_bad * received:
            wrong = ", ".join(sorted(bad))
            share = unread / max(unread, received)  # some may have been received before
            return f"{share:.0%} of the images cannot be read: wrong {wrong}"
        if lost > limits.warn_bad * (lost + received):
            return f"{lost} of {lost + received} images were lost on the way to this node"
        if repeated := self.counts.repeated:
            return (
                f"{repeated} images have the stamp of the previous one: is the camera frozen, or "
                "does its driver set no stamps?"
            )
        if self.counts.back:
            return "the stamps jumped back: is there a second camera, or a second clock?"
        return ""

    def _judge_results(self, limits: Limits) -> tuple[Level, str]:
        """Return the level and the reason for a camera whose images are fine."""
        if self.latency is not None and self.latency > limits.warn_latency:
            return Level.WARN, f"poses are published {self.latency:.2f} s after the image's stamp"
        if self.latency is not None and self.latency < -limits.warn_latency:
            return Level.WARN, (
                f"the stamps are {-self.latency:.2f} s ahead of the node's clock: check both "
                "clocks, and use_sim_time"
            )
        # One image may just have been too early.
        if self.counts.without_depth > 1 and not self.counts.with_depth:
            return Level.WARN, "no depth image matches: the log says why"
        is_wanted = not self.counts.unwanted
        use = f"{self.processed_rate:.1f} processed" if is_wanted else "no subscriber"
        return Level.OK, f"{self.rate:.1f} images/s, {use}"


class Losses:
    """Watches the counts of one camera for lost images."""

    def __init__(self) -> None:
        self._throttle = Throttle(_LOSSES_PERIOD)
        self._told = Counts()

    def look(self, counts: Counts) -> str | None:
        """Return a warning of the losses since the last one; None if they are few."""
        now = counts.copy()  # another thread counts on
        new = now.since(self._told)
        lost, sent = new.lost, new.lost + new.received
        are_few = lost < _SHARE_LOST * sent
        if are_few and sent > _MANY_LOST / _SHARE_LOST:
            self._told = now  # hours without losses must not hide those that follow
        if are_few or lost < _MANY_LOST or not self._throttle.passes("lost"):
            return None
        self._told = now
        return (
            f"{lost} of {sent} images were lost on the way to this node: with Fast DDS on one "
            "machine, whose shared memory is half a megabyte by default, start the camera's "
            f"driver with {profile_variable()}={large_images_profile()}; else let it publish "
            "reliably with a queue of 5, or compressed"
        )


_UNKNOWN = "_NODE_NAME_UNKNOWN_"  # rmw's, of a node that is just being discovered


class DuplicatePublishers:
    """Warns if another node publishes the poses of the same camera; call `watch` at 1 Hz."""

    def __init__(self, node: Node, topic: str, label: str) -> None:
        self._node = node
        self._topic = topic
        self._label = label
        self._is_duplicate = self._was_told = False

    def watch(self) -> None:
        """Warn of two publishers on the topic, once, and say when there is only one again."""
        found = publishers_of(self._node, self._topic, "kp_pose_ros/msg/PoseArray")
        publishers = [each for each in found if each.node_name != _UNKNOWN]
        was_duplicate, self._is_duplicate = self._is_duplicate, len(publishers) > 1
        # Not at once: a restarted node may overlap with the old one.
        if self._is_duplicate and was_duplicate and not self._was_told:
            self._was_told = True
            nodes = ", ".join(f"{e.node_namespace.rstrip('/')}/{e.node_name}" for e in publishers)
            self._node.get_logger().warning(
                f"{self._label}: {self._node.resolve_topic_name(self._topic)} has "
                f"{len(publishers)} publishers, of the nodes {nodes}, so that subscribers get the "
                "poses more than once: stop all but one, or give each its own namespace (a "
                "node that was killed counts for up to 20 s)"
            )
        elif not self._is_duplicate and self._was_told:
            self._was_told = False
            self._node.get_logger().info(
                f"{self._label}: no other node publishes its poses any more"
            )


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status of the node as a whole."""

    level: Level  # its severity
    message: str  # the reason
    facts: Mapping[str, str]  # further values, by name
    times: StageTimes  # durations of the stages of the latest frames


class Diagnostics:
    """Publishes the status of a node and its cameras; call `publish` about once a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # By the camera object, since counts start at zero when the node is configured again.
        self._before: WeakKeyDictionary[Camera, Counts] = WeakKeyDictionary()
        self._versions = {f"version of {name}": each for name, each in versions().items()}
        self._last = monotonic()

    def publish(self, status: NodeStatus, cameras: Iterable[Camera], limits: Limits) -> None:
        """Publish all statuses, with what happened since the last call."""
        now = monotonic()
        # Two calls at the same instant would divide by zero.
        seconds, self._last = max(now - self._last, 1e-3), now
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.status = [self._node_status(status)]
        message.status += [self._camera_status(each, seconds, limits) for each in cameras]
        self._publisher.publish(message)

    def _node_status(self, status: NodeStatus) -> DiagnosticStatus:
        values = {**status.facts, **self._versions}
        stages = {
            f"{stage} (ms)": _milliseconds(durations)
            for stage, durations in status.times.seconds().items()
        }
        self._debug("stages", stages)
        values |= stages
        values |= {name: f"{number:.1f}" for name, number in readings().items()}
        return self._status("node", status.level, status.message, values)

    def _camera_status(self, camera: Camera, seconds: float, limits: Limits) -> DiagnosticStatus:
        after = camera.counts.copy()
        before = self._before.get(camera, Counts())
        self._before[camera] = after
        latencies = camera.take_latencies()
        latency = percentiles(latencies)[1] if latencies else None
        images = camera.images
        counts, busy = after.since(before), camera.busy()
        report = Report(counts, seconds, images.age(), busy, latency, images.fault)
        values = {
            "lost on the way": str(after.lost),
            "received": str(after.received),
            "processed": str(after.processed),
            "dropped, a newer one arrived": str(after.dropped),
            "unwanted, no subscriber": str(after.unwanted),
            "failed, the log says why": str(after.failed),
            "bad": str(sum(after.bad.values())),
            **{f"bad {field}": str(count) for field, count in sorted(after.bad.items())},
            "stamp repeated": str(after.repeated),
            "stamp earlier than the previous one": str(after.back),
            "image (height x width)": camera.image,
            "images/s": f"{report.rate:.1f}",
            "processed/s": f"{report.processed_rate:.1f}",
            "age of the newest (s)": "none" if report.age is None else f"{report.age:.2f}",
            "stamp to publish (ms)": _milliseconds(latencies),
            **camera.coverage.facts(),
        }
        if camera.depth is not None:
            values["with depth"] = str(after.with_depth)
            values["without depth"] = str(after.without_depth)
        self._debug(camera.label, values)
        level, words = report.judge(limits)
        return self._status(camera.label, level, words, values)

    def _debug(self, part: str, values: Mapping[str, str]) -> None:
        logger = self._node.get_logger()
        if values and logger.is_enabled_for(LoggingSeverity.DEBUG):
            told = "; ".join(f"{key}: {value}" for key, value in values.items())
            logger.debug(f"{part}: {told}")

    def _status(
        self, part: str, level: Level, message: str, values: Mapping[str, str]
    ) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([level]),
            name=f"{self._node.get_fully_qualified_name().lstrip('/')}: {part}",
            message=message,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


def _milliseconds(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    pairs = zip(PERCENTILES, percentiles(seconds), strict=True)
    return ", ".join(f"p{percentile} {1000 * value:.1f}" for percentile, value in pairs)
