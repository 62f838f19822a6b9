# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns the poses of cameras into records, for event_feed and the rules of activities."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.callback_groups import CallbackGroup
from rclpy.qos import HistoryPolicy, QoSProfile

from kp_pose_ros.errors import FrameError, ModelError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.msg import PoseArray, Skeleton
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.output.pose_reader import PoseArrayFields, read_pose_array
from kp_pose_ros.resources import config_path
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.messages import vocabulary_from_msg
from kp_pose_ros.ros.qos import LATCHED
from kp_pose_ros.settings import camera_names

# Messages: buffers a second or more of images while the process is not scheduled.
_WAITING = 100
_POSES = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=_WAITING)

OnRecord = Callable[[dict[str, Any], Header], None]


def declare_cameras(node: Bridge) -> tuple[str, ...]:
    """Declare the parameter `cameras`, as in the pose node; return the names, "" for one camera.

    Raises:
        SettingsError: a name cannot be part of a topic name, or is given twice.
    """
    about = "Names of the pose node's cameras; one empty name: a single one without a name."
    return camera_names(node.declare("cameras", ("",), about))


def declare_rules(node: Bridge) -> Path:
    """Declare the file of rules for activities; return its path."""
    path = node.declare("rules", "", "Rules file; empty: the shipped config/activities.yaml.")
    return Path(path) if path else config_path("activities.yaml")


def declare_robot(node: Bridge) -> str:
    """Declare and return the robot's name."""
    about = "The robot's name, in every record; empty: the computer's name."
    return str(node.declare("robot", "", about) or socket.gethostname())


class CameraRecords:
    """Subscribes to one camera's poses and skeleton."""

    def __init__(
        self,
        node: Bridge,
        robot: str,
        camera: str,
        on_record: OnRecord,
        group: CallbackGroup | None = None,
    ) -> None:
        """Subscribe.

        Args:
            node: the node that subscribes.
            robot: the robot's name.
            camera: the camera's name; "" for the only one.
            on_record: called with each image's record and header.
            group: the callback group of the poses; a closed Gate: only `take` takes them.
        """
        self.keypoint_names: tuple[str, ...] = ()
        self._context = node.context
        self._log = node.get_logger()
        self._on_record = on_record
        self._recorder: Recorder | None = None
        # Poses that arrive before the latched skeleton.
        self._early: deque[bytes | Pixels] = deque(maxlen=_WAITING)
        prefix = f"{camera}/" if camera else ""
        self._topic = f"{prefix}poses"
        self._skeleton_topic = node.skeleton_topic(prefix)
        subscribe_skeleton(node, prefix, self._begin, robot=robot, camera=camera)
        # Raw, since rclpy's message objects cost more than everything else that is done here.
        self._poses = node.create_subscription(
            PoseArray, self._topic, self._on_poses, _POSES, raw=True, callback_group=group
        )

    def take(self) -> None:
        """Use the messages that wait; one that cannot be taken is logged."""
        try:
            while (taken := rcl.take(self._poses)) is not None:
                self._on_poses(taken[0])
        except rcl.MiddlewareError as error:
            self._log.error(str(error), throttle_duration_sec=10.0)

    def handle_events(self) -> None:
        """Report problems of the poses' QoS, which a closed group keeps from the executor."""
        rcl.handle_events(self._context, self._poses)

    def _begin(self, recorder: Recorder) -> None:
        self.take()  # the poses of the session before
        self.keypoint_names = recorder.vocabulary.skeleton.keypoint_names
        self._recorder = recorder
        while self._early:
            self._on_poses(self._early.popleft())

    def _on_poses(self, content: bytes | Pixels) -> None:
        recorder = self._recorder
        if recorder is None:
            self._early.append(content)
            if len(self._early) == _WAITING:
                self._log.warning(
                    f"messages on '{self._topic}' are not used: their skeleton was not received on "
                    f"'{self._skeleton_topic}'; remap 'skeleton' to the pose node's",
                    throttle_duration_sec=10.0,
                )
            return
        try:
            message = read_pose_array(np.frombuffer(content, np.uint8))
            record = record_of(recorder, message)
        except (FrameError, ValueError) as error:
            self._log.warning(
                f"a message on '{self._topic}' was ignored: {error}", throttle_duration_sec=10.0
            )
        else:
            self._on_record(record, message.header)


def subscribe_skeleton(
    node: Bridge, prefix: str, on_recorder: Callable[[Recorder], object], **source: str
) -> None:
    """Subscribe to a camera's skeleton; call `on_recorder` with a recorder for each one.

    A skeleton begins a session: a pose node has started, and its track ids start over. `source` are
    the recorder's `robot` and `camera`.
    """

    def receive(message: Skeleton) -> None:
        try:
            vocabulary = vocabulary_from_msg(message)
        except ModelError as error:
            node.get_logger().error(str(error), throttle_duration_sec=10.0)
        else:
            on_recorder(Recorder(vocabulary, **source))

    node.create_subscription(Skeleton, node.skeleton_topic(prefix), receive, LATCHED)


def record_of(recorder: Recorder, message: PoseArrayFields) -> dict[str, Any]:
    """Return the record of a message.

    Raises:
        ValueError: the message contradicts the skeleton, or has numbers that are not finite.
    """
    skeleton = recorder.vocabulary.skeleton
    if skeleton.name != message.skeleton:
        raise ValueError(f"its skeleton, {message.skeleton}, is not the one on 'skeleton'")
    poses, expected = message.poses, len(skeleton)
    if len(poses) and poses.keypoints.shape[1] != expected:
        raise ValueError(
            f"its poses have {poses.keypoints.shape[1]} keypoints: expected {expected}, "
            "as the skeleton has"
        )
    poses.check_finite()
    return recorder.record(
        poses,
        stamp=message.header.stamp,
        frame_id=message.header.frame_id,
        size=message.size,
        keypoints_3d=message.keypoints_3d,
    )
