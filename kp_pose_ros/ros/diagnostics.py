# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`/diagnostics`: the status of the node and each of its cameras, once a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from kp_pose_ros.resources import versions
from kp_pose_ros.ros.board import readings
from kp_pose_ros.ros.health import Counts, Level, Limits, Report
from kp_pose_ros.timing import PERCENTILES, StageTimes, percentiles

if TYPE_CHECKING:
    from kp_pose_ros.ros.camera import Camera


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status of the node as a whole.

    Attributes:
        level: its severity.
        message: the reason.
        facts: further values, by name.
        times: durations of the stages of the latest frames.
    """

    level: Level
    message: str
    facts: Mapping[str, str]
    times: StageTimes


class Diagnostics:
    """Publishes the status of a node and its cameras; call `publish` about once a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # By the camera object: one that is configured again has counts of its own.
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
        for stage, durations in status.times.seconds().items():
            values[f"{stage} (ms)"] = _milliseconds(durations)
        values |= {name: f"{number:.1f}" for name, number in readings().items()}
        return self._status("node", status.level, status.message, values)

    def _camera_status(self, camera: Camera, seconds: float, limits: Limits) -> DiagnosticStatus:
        after = camera.counts.copy()
        before = self._before.get(camera, Counts())
        self._before[camera] = after
        latencies = camera.take_latencies()
        latency = percentiles(latencies)[1] if latencies else None
        report = Report(before, after, seconds, camera.images.age(), latency)
        values = {
            "lost on the way": str(after.lost),
            "received": str(after.received),
            "processed": str(after.processed),
            "dropped, a newer one came": str(after.dropped),
            "unwanted, nobody subscribed": str(after.unwanted),
            "failed in the engine": str(after.failed),
            "bad": str(sum(after.bad.values())),
            **{f"bad {field}": str(count) for field, count in sorted(after.bad.items())},
            "stamp repeated": str(after.repeated),
            "stamp before the one before": str(after.back),
            "image (height x width)": camera.image,
            "images/s": f"{report.rate:.1f}",
            "looked at/s": f"{report.processed_rate:.1f}",
            "age of the newest (s)": "none" if report.age is None else f"{report.age:.2f}",
            "stamp to publish (ms)": _milliseconds(latencies),
        }
        if camera.depth is not None:
            values["with depth"] = str(after.with_depth)
            values["without depth"] = str(after.without_depth)
        level, words = report.judge(limits)
        return self._status(camera.label, level, words, values)

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
