# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros event_feed`: a JSON record for every image, to Kafka or to files."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.kafka import declare_kafka
from kp_pose_ros.ros.bridges.records import CameraRecords, declare_cameras, declare_robot
from kp_pose_ros.ros.bridges.sender import Sender
from kp_pose_ros.ros.bridges.spool import Spool
from kp_pose_ros.ros.executor import Gate
from kp_pose_ros.ros.process import run_node

_MB = 10**6
_PERIOD = 0.2  # seconds; the executor wakes up for all cameras at once, not for each message


class EventFeed(Bridge):
    """Writes records to a spool on disk, from which a thread sends them."""

    def __init__(self, **node_arguments: Any) -> None:
        """Start the feed; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        super().__init__("event_feed", **node_arguments)
        robot, cameras = declare_robot(self), declare_cameras(self)
        topic = self.declare("topic", "poses", "The Kafka topic.")
        about = "Largest size of the spool, megabytes; when full, it drops the oldest records."
        size = self.declare("spool_mb", 1000, about, limits=(1, _MB))
        config = declare_kafka(self, "empty: records stay in files")
        self._records = 0
        folder = _spool_folder(self)
        self._spool = Spool(folder, size * _MB)
        self._sender = Sender(self._spool, topic, config, self.get_logger().warning)
        self._is_to_kafka = bool(config)
        closed = Gate(self)
        self._cameras = [CameraRecords(self, robot, each, self._store, closed) for each in cameras]
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_steady_timer(_PERIOD, self._take)
        self.create_steady_timer(1.0, self._publish_diagnostics)
        self._sender.start()
        goal = f"Kafka, topic '{topic}'" if config else f"files in {folder}"
        self.ready(f"writes the poses of each image to {goal}")

    def _take(self) -> None:
        for camera in self._cameras:
            camera.take()

    def _store(self, record: dict[str, Any], _: Header) -> None:
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        self._records += 1
        if not self._spool.append(line):
            self.get_logger().error(
                "the spool's disk is full: new records are lost; free some space",
                throttle_duration_sec=10.0,
            )

    def _publish_diagnostics(self) -> None:
        for camera in self._cameras:
            camera.handle_events()
        waiting = self._spool.waiting() if self._is_to_kafka else 0
        problem = self._sender.problem
        lost = self._spool.dropped + self._sender.damaged
        level = DiagnosticStatus.OK
        if problem or lost:
            level = DiagnosticStatus.WARN
        facts = {
            "records": self._records,
            "sent": self._sender.sent,
            "in flight": self._sender.in_flight,
            "spooled bytes": waiting,
            "dropped": self._spool.dropped,
            "refused or damaged": self._sender.damaged,
        }
        lag = f"{waiting / _MB:.1f} MB of records wait for the broker"
        status = DiagnosticStatus(
            level=level,
            name=f"{self.get_fully_qualified_name()}: feed",
            message=problem or (f"{lost} records were lost" if lost else lag if waiting else "OK"),
            values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def close(self, timeout: float) -> bool:
        """Store what waits, stop sending; return whether the thread ended within `timeout` s."""
        self._take()
        has_ended = self._sender.stop(timeout)
        if has_ended:
            self._spool.close()
        return has_ended


def _spool_folder(node: Bridge) -> Path:
    about = "Folder for unsent records; without brokers, for all. Empty: $ROS_HOME/event_feed."
    home = os.environ.get("ROS_HOME") or Path.home() / ".ros"
    return Path(node.declare("spool", "", about) or Path(home) / "event_feed").expanduser()


def main() -> int:
    """Run the feed; return the process's exit code."""
    return run_node(
        "event_feed",
        "Sends a JSON record for every image on poses to Kafka, or writes it into files.",
        lambda _: EventFeed(),
        close=EventFeed.close,
    )


if __name__ == "__main__":
    sys.exit(main())
