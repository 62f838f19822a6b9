# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns the poses of cameras into records, for event_feed and the search for activities."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.qos import HistoryPolicy, QoSProfile
from std_msgs.msg import Header

from kp_pose_ros.msg import PoseArray, Skeleton
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.resources import config_path
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.messages import nanoseconds, poses_from_msg, skeleton_from_msg
from kp_pose_ros.ros.qos import LATCHED
from kp_pose_ros.settings import camera_names

# Buffers a second or more of images while the process is not scheduled.
_WAITING = 100
_EVERY_ONE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_WAITING)

OnRecord = Callable[[dict[str, Any], Header], None]


def declare_cameras(node: Bridge) -> tuple[str, ...]:
    """Declare the parameter `cameras`, as in the pose node; return the names, "" for one camera.

    Raises:
        SettingsError: a name cannot be part of a topic's, or comes twice.
    """
    about = "Names of the cameras, as the pose node has them; empty: it has one, without a name."
    return camera_names(node.declare("cameras", ("",), about))


def declare_rules(node: Bridge) -> Path:
    """Declare the file of rules for activities; return its path."""
    path = node.declare("rules", "", "File of rules; empty: the shipped config/activities.yaml.")
    return Path(path) if path else config_path("activities.yaml")


def declare_robot(node: Bridge) -> str:
    """Declare and return the robot's name."""
    about = "The robot's name, in every record; empty: the computer's name."
    return str(node.declare("robot", "", about) or socket.gethostname())


class CameraRecords:
    """Subscribes to one camera's poses and skeleton."""

    def __init__(self, node: Bridge, robot: str, camera: str, on_record: OnRecord) -> None:
        """Subscribe.

        Args:
            node: the node that subscribes.
            robot: the robot's name.
            camera: the camera's name; "" for the only one.
            on_record: called with each image's record and header.
        """
        self.keypoint_names: tuple[str, ...] = ()
        self._log = node.get_logger()
        self._robot = robot
        self._camera = camera
        self._on_record = on_record
        self._recorder: Recorder | None = None
        # Poses that arrive before the latched skeleton.
        self._early: deque[PoseArray] = deque(maxlen=_WAITING)
        prefix = f"{camera}/" if camera else ""
        self._topic = f"{prefix}poses"
        node.create_subscription(Skeleton, f"{prefix}skeleton", self._on_skeleton, LATCHED)
        node.create_subscription(PoseArray, self._topic, self._on_poses, _EVERY_ONE)

    def _on_skeleton(self, message: Skeleton) -> None:
        """Begin a session: a pose node has started, and its track ids start over."""
        skeleton = skeleton_from_msg(message)
        self.keypoint_names = skeleton.keypoint_names
        names = list(message.class_names)
        self._recorder = Recorder(skeleton, names, robot=self._robot, camera=self._camera)
        while self._early:
            self._on_poses(self._early.popleft())

    def _on_poses(self, message: PoseArray) -> None:
        recorder = self._recorder
        if recorder is None:
            self._early.append(message)
            return
        if recorder.skeleton.name != message.skeleton:
            self._leave_out(f"its skeleton, {message.skeleton}, is not the one on 'skeleton'")
            return
        try:
            record = record_of(recorder, message)
        except ValueError as error:
            self._leave_out(str(error))
        else:
            self._on_record(record, message.header)

    def _leave_out(self, reason: str) -> None:
        self._log.warning(
            f"a message on '{self._topic}' was left out: {reason}", throttle_duration_sec=10.0
        )


def record_of(recorder: Recorder, message: PoseArray) -> dict[str, Any]:
    """Return the record of a message.

    Raises:
        ValueError: the message is inconsistent, or has numbers that are not finite.
    """
    poses = poses_from_msg(message)
    expected = len(recorder.skeleton)
    if len(poses) and poses.keypoints.shape[1] != expected:
        raise ValueError(
            f"its poses have {poses.keypoints.shape[1]} keypoints: expected {expected}, "
            "as the skeleton has"
        )
    for array in (poses.keypoints, poses.boxes, poses.scores):
        if not np.isfinite(array).all():
            raise ValueError("it has a coordinate or score that is no finite number")
    return recorder.record(
        poses,
        stamp=nanoseconds(message.header.stamp),
        frame_id=message.header.frame_id,
        size=(message.image_height, message.image_width),
        keypoints_3d=_keypoints_3d(message, expected),
    )


def _keypoints_3d(message: PoseArray, count: int) -> npt.NDArray[np.float64] | None:
    if not any(person.keypoints_3d for person in message.poses):
        return None
    places = np.full((len(message.poses), count, 3), np.nan)
    for place, person in zip(places, message.poses, strict=True):
        if len(person.keypoints_3d) not in (0, count):
            raise ValueError(f"a pose has {len(person.keypoints_3d)} of {count} keypoints_3d")
        for point, each in zip(place, person.keypoints_3d, strict=False):
            if each.valid:
                point[:] = each.position.x, each.position.y, each.position.z
    return places
