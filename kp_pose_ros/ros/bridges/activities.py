# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros activities`: people's activities, detected by rules on their poses."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from rclpy.qos import QoSProfile
from std_msgs.msg import Header as HeaderMsg

from kp_pose_ros.activities.engine import Activities, Event
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.msg import Activity
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.kafka import EventReader, declare_kafka
from kp_pose_ros.ros.bridges.records import (
    CameraRecords,
    declare_cameras,
    declare_robot,
    declare_rules,
)
from kp_pose_ros.ros.messages import header_to_msg, time_to_msg
from kp_pose_ros.ros.process import run_node

_MS = 10**6  # nanoseconds
_EVENTS = QoSProfile(depth=100)  # a crowd may start many activities at once


class ActivitiesNode(Bridge):
    """Applies the rules of a file to the poses of all cameras, or forwards events from Kafka.

    With `brokers` set, the rules run elsewhere, in Flink or Spark, and this node publishes the
    events of its own robot.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: the rules, or the settings of Kafka, cannot be used.
        """
        super().__init__("activities", **node_arguments)
        rules = declare_rules(self)
        robot, cameras = declare_robot(self), declare_cameras(self)
        about = "The Kafka topic of the events, if brokers is set."
        topic = self.declare("topic", "activities", about)
        config = declare_kafka(self, "empty: the rules run here")
        self._robot = robot
        self._outputs = {
            each: self.create_publisher(
                Activity, f"{each}/activities" if each else "activities", _EVENTS
            )
            for each in cameras
        }
        self._inputs: dict[str, CameraRecords] = {}
        self._reader = None
        if config:
            warn = partial(self.get_logger().warning, throttle_duration_sec=10.0)
            self._reader = EventReader(topic, config, self._on_event, warn)
            self._reader.start()
            self.ready(f"publishes the activities of '{robot}' from Kafka, topic '{topic}'")
            return
        self._activities = Activities(load_rules(rules))
        self._checked: dict[str, tuple[str, ...]] = {}  # the keypoints of each camera's skeleton
        for camera in cameras:
            self._inputs[camera] = CameraRecords(self, robot, camera, self._on_record)
        self.ready(f"applies the rules in {rules}")

    def close(self, timeout: float) -> bool:
        """Stop reading; return whether the thread has ended within `timeout` seconds."""
        return self._reader is None or self._reader.stop(timeout)

    def _on_event(self, event: Event) -> None:
        """Publish an event from Kafka, if it is from this robot and one of the cameras."""
        if event.robot == self._robot and event.camera in self._outputs:
            header = HeaderMsg(stamp=time_to_msg(event.stamp_ms * _MS))
            self._outputs[event.camera].publish(_to_msg(event, header))

    def _on_record(self, record: dict[str, Any], header: Header) -> None:
        camera = record["camera"]
        self._check(camera, self._inputs[camera].keypoint_names)
        try:
            events = self._activities.update(record)
        except SettingsError as error:
            self.get_logger().warning(str(error), throttle_duration_sec=10.0)
            return
        for event in events:
            self._outputs[camera].publish(_to_msg(event, header_to_msg(header)))

    def _check(self, camera: str, keypoint_names: tuple[str, ...]) -> None:
        """Warn of rules that use keypoints which a camera's new skeleton lacks."""
        is_known = keypoint_names in self._checked.values()
        self._checked[camera] = keypoint_names
        if not is_known:
            for sentence in self._activities.matcher.check(keypoint_names):
                self.get_logger().warning(sentence)


def _to_msg(event: Event, header: HeaderMsg) -> Activity:
    return Activity(
        header=header,
        camera=event.camera,
        state=Activity.END if event.is_end else Activity.START,
        activity=event.activity,
        track_ids=event.track_ids,
        since=time_to_msg(event.since_ms * _MS),
        until=time_to_msg(event.until_ms * _MS),
        images=event.images,
    )


def main() -> int:
    """Run the node; return the process's exit code."""
    return run_node(
        "activities",
        "Publishes people's activities (kp_pose_ros/Activity), detected by rules on their poses.",
        lambda _: ActivitiesNode(),
        close=ActivitiesNode.close,
    )


if __name__ == "__main__":
    sys.exit(main())
