# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The people in a camera's poses, with their positions and the colours of their clothes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.following.clothes import BINS, PARTS, ClothesHistograms
from kp_pose_ros.following.kinematics import coordinates
from kp_pose_ros.following.person import People
from kp_pose_ros.msg import KeypointPose, PoseArray
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.output.pose_reader import PoseArrayFields
from kp_pose_ros.poses import UNTRACKED, Array, Poses
from kp_pose_ros.ros.bridges.bridge import Bridge, OnDemand
from kp_pose_ros.ros.bridges.pictures import Pictures, declare_transport
from kp_pose_ros.ros.bridges.records import record_of, subscribe_skeleton
from kp_pose_ros.ros.qos import RESULTS
from kp_pose_ros.ros.space.calibration import Calibration
from kp_pose_ros.space.messages import camera_of
from kp_pose_ros.timing import Throttle

_WATCH_PERIOD = 1.0  # seconds
_MIN_WIDTH = 640  # pixels of a JPEG image, to see the colours of clothes


class Sightings:
    """Subscribes to `skeleton`, and while needed to `poses`, `image` and `camera_info`."""

    def __init__(self, node: Bridge, on_poses: Callable[[PoseArray, bytes], None]) -> None:
        """Prepare; `want` subscribes.

        Args:
            node: the node that subscribes.
            on_poses: called with each message on `poses`, and its bytes.

        Raises:
            SettingsError: images of the node's image_transport cannot be read here.
        """
        self._node = node
        self._recorder: Recorder | None = None
        self._clothes = ClothesHistograms(())
        self._pictures = Pictures(node, "image", declare_transport(node), lambda _: _MIN_WIDTH)
        self._on_poses = on_poses
        self._poses = OnDemand(node, PoseArray, "poses", self._receive, RESULTS, raw=True)
        self._calibration = Calibration(node, "")
        self._throttle = Throttle(_WATCH_PERIOD)
        node.expect_subscription("camera_info")
        subscribe_skeleton(node, "", self._begin)

    def want(self, is_wanted: bool) -> None:
        """Subscribe or unsubscribe, unless already done."""
        self._pictures.want(is_wanted)
        self._poses.want(is_wanted)
        if is_wanted:
            self._calibration.start()
        else:
            self._calibration.stop()

    def watch(self) -> None:
        """Follow the QoS of the publishers of camera_info; call it often."""
        if self._throttle.passes("camera_info"):
            self._calibration.watch()

    def keypoint_names(self, message: PoseArray) -> tuple[str, ...] | None:
        """Return the names of the poses' keypoints; None before the skeleton arrives."""
        if self._recorder is None:
            return None
        skeleton = self._recorder.vocabulary.skeleton
        return skeleton.keypoint_names if skeleton.name == message.skeleton else None

    def record(self, message: PoseArrayFields) -> dict[str, Any]:
        """Return a message as a record, to which the rules of activities apply.

        Raises:
            ValueError: the message contradicts the skeleton, or has numbers that are not finite.
        """
        if self._recorder is None:
            raise ValueError("its skeleton was not received on 'skeleton'")
        return record_of(self._recorder, message)

    def people(self, message: PoseArray, detected: Poses) -> People:
        """Return the people with a track in a message that `record` has accepted."""
        tracked = np.flatnonzero(detected.track_ids != UNTRACKED)
        poses = detected[tracked]
        messages = [message.poses[index] for index in tracked.tolist()]
        names = self.keypoint_names(message) or ()
        size = message.image_height, message.image_width
        frame = message.header.frame_id
        positions, velocities = _in_camera(messages, frame, names)
        return People(
            poses=poses,
            positions=positions,
            velocities=velocities,
            histograms=self._histograms(poses, message.header, size),
            coordinates=coordinates(poses, positions, names),
            size=size,
        )

    def bearing(self, x: float, y: float, size: tuple[int, int]) -> float:
        """Return the angle to a pixel of an image of (height, width); NaN if unknown.

        Radians, positive to the left of the optical axis.
        """
        if self._calibration.info is None:
            return math.nan
        try:
            ray = camera_of(self._calibration.info, size).rays(np.array([(x, y)]))[0]
        except CalibrationError as error:
            self._warn(f"a message on 'camera_info' was ignored: {error}")
            return math.nan
        return -math.atan2(ray[0], ray[2])

    def _histograms(self, poses: Poses, header: Header, size: tuple[int, int]) -> Array:
        """Return the histograms of people's clothes; NaN without the image."""
        picture = self._pictures.at(header) if len(poses) and min(size) else None
        if picture is None:
            return np.full((len(poses), PARTS, BINS), np.nan)
        # On a common floor, people whose feet are lower in the image are nearer.
        return self._clothes.compute(picture, poses, size, -poses.boxes[:, 3].astype(np.float64))

    def _receive(self, content: bytes) -> None:
        self._on_poses(deserialize_message(content, PoseArray), content)

    def _begin(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._clothes = ClothesHistograms(recorder.vocabulary.skeleton.keypoint_names)

    def _warn(self, text: str) -> None:
        self._node.get_logger().warning(text, throttle_duration_sec=10.0)


def _in_camera(
    messages: Sequence[KeypointPose], frame: str, names: Sequence[str]
) -> tuple[Array, Array]:
    """Return people's positions and velocities in the camera's frame, (n, 3) each; NaN if unknown.

    With the pose node's parameter target_frame, `motion` is in another frame: then the position is
    the mean of the torso's 3D keypoints, else the median of all, and there is no velocity.
    """
    found = np.full((2, len(messages), 3), np.nan)
    torso = [index for index, name in enumerate(names) if name.endswith(("_hip", "_shoulder"))]
    for index, person in enumerate(messages):
        motion = person.motion
        if motion.position_valid and motion.frame_id in ("", frame):
            found[0, index] = _xyz(motion.position)
            if motion.velocity_valid:
                found[1, index] = _xyz(motion.velocity)
            continue
        known = {i: _xyz(each.position) for i, each in enumerate(person.keypoints_3d) if each.valid}
        if middle := [known[i] for i in torso if i in known]:
            found[0, index] = np.mean(middle, axis=0)
        elif known:
            found[0, index] = np.median(list(known.values()), axis=0)
    return found[0], found[1]


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z
