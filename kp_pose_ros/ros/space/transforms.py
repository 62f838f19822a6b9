# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People's positions and velocities in `target_frame`, which stays fixed when the robot moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from kp_pose_ros.errors import SettingsError, brief, printable
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.poses import Array, Ints, Motion
from kp_pose_ros.ros.executor import Gate
from kp_pose_ros.space.people import PeopleMotion
from kp_pose_ros.timing import LATE

# The QoS of tf2_ros.TransformListener.
_TOPICS = {
    "/tf": ("set_transform", QoSProfile(depth=100)),
    "/tf_static": (
        "set_transform_static",
        QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    ),
}


class Transforms:
    """Looks up transforms to `target_frame`. The executor receives TF, other threads look up.

    Attributes:
        frame_id: the target frame.
    """

    def __init__(self, node: Node, frame_id: str) -> None:
        """Subscribe to TF; nothing is received until `want` is called.

        Raises:
            SettingsError: tf2_ros is not installed.
        """
        try:
            import tf2_ros
            from tf2_msgs.msg import TFMessage
        except ImportError as error:
            package = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-tf2-ros-py"
            raise SettingsError(
                f"parameter 'target_frame' is '{frame_id}', but tf2_ros cannot be imported "
                f"({error}): apt install {package}, or leave target_frame empty"
            ) from error
        # Not above: it takes 0.3 s and 30 MB. Not later: the first image would wait for it.
        from scipy.spatial.transform import Rotation

        self._from_quaternion = Rotation.from_quat
        self.frame_id = frame_id
        self._buffer = tf2_ros.Buffer()
        self._error: type[Exception] = tf2_ros.TransformException
        self._node = node
        self._gate = Gate(node)
        self._subscriptions = [
            node.create_subscription(
                TFMessage,
                topic,
                partial(self._keep, getattr(self._buffer, method)),
                qos,
                callback_group=self._gate,
            )
            for topic, (method, qos) in _TOPICS.items()
        ]
        self._stamps: dict[str, int] = {}  # of the newest image, by each frame known to TF
        # The latest header looked up, and what was found: several topics ask for one image.
        self._latest: tuple[Header | None, tuple[Array, Array] | None] = None, None
        self._missing = 0  # images since `take_problem`
        self._problem = ""

    def close(self) -> None:
        """Unsubscribe."""
        for each in self._subscriptions:
            self._node.destroy_subscription(each)

    def want(self, camera: str, is_wanted: bool) -> None:
        """Start or stop receiving TF for a camera; TF is taken while any camera wants it.

        Any thread may call it.
        """
        if is_wanted and not self._gate.is_open:
            self._buffer.clear()  # tf2 would interpolate across the gap
        self._gate.want(camera, is_wanted)

    def at(self, header: Header) -> tuple[Array, Array] | None:
        """Return the rotation (3, 3) and the translation (3,) from a frame to the target frame.

        Args:
            header: an image's. A jump back of the stamps drops all transforms: with them, tf2 would
                refuse those of an earlier time. For the same object, later calls return what the
                first one found.

        Returns:
            None if the transform at the stamp is unknown. It does not wait for it.
        """
        latest = self._latest
        if header is not latest[0]:
            latest = self._latest = header, self._look_up(header.frame_id, header.stamp)
        return latest[1]

    def _look_up(self, frame_id: str, stamp: int) -> tuple[Array, Array] | None:
        if frame_id == self.frame_id:
            return np.eye(3), np.zeros(3)
        if stamp <= 0:  # tf2 would take 0 to mean the newest
            self._miss(frame_id, stamp, "the image has no stamp")
            return None
        if frame_id in self._stamps:
            if stamp < self._stamps[frame_id] - LATE:
                self._buffer.clear()
            self._stamps[frame_id] = stamp
        try:
            found = self._buffer.lookup_transform(self.frame_id, frame_id, Time(nanoseconds=stamp))
        except (self._error, ValueError) as error:  # ValueError: a zero byte in a name
            self._miss(frame_id, stamp, " ".join(str(error).split()))
            return None
        self._stamps[frame_id] = stamp
        shift, turn = found.transform.translation, found.transform.rotation
        rotation = self._from_quaternion((turn.x, turn.y, turn.z, turn.w)).as_matrix()
        return rotation, np.array((shift.x, shift.y, shift.z))

    def take_problem(self) -> str:
        """Return which transforms were missing since the last call, in words; empty if none."""
        missing, self._missing = self._missing, 0
        return f"people in {missing} of the images had {self._problem}" if missing else ""

    def _miss(self, frame_id: str, stamp: int, reason: str) -> None:
        self._missing += 1
        self._problem = (
            f"no transform from {brief(frame_id)} to {brief(self.frame_id)}, the last one at "
            f"{stamp * 1e-9:.6f} s, and stay in {brief(frame_id)}: {printable(reason, 500)}"
        )

    @staticmethod
    def _keep(keep: Callable[[TransformStamped, str], None], message: Any) -> None:
        for transform in message.transforms:
            keep(transform, "kp_pose")


class PeopleInFrame:
    """Tracks people's motion in the target frame; without a transform, in that of their image.

    Each frame has its own filter, so measurements of two frames are never mixed.
    """

    def __init__(
        self,
        keypoint_names: Sequence[str],
        transforms: Transforms | None,
        deviation: tuple[float, float] | None = None,
    ) -> None:
        """Start without people.

        Args:
            keypoint_names: the skeleton's.
            transforms: those to the target frame; None: there is no target frame.
            deviation: as in PeopleMotion; None: its default.
        """
        self._transforms = transforms
        extra = () if deviation is None else (deviation,)
        self._new = partial(PeopleMotion, keypoint_names, *extra)
        self._filters: dict[str, PeopleMotion] = {}  # for the target frame and one other

    def update(self, header: Header, track_ids: Ints, keypoints_3d: Array) -> Motion | None:
        """Return positions and velocities of the people in an image; None without people.

        Args:
            header: the image's.
            track_ids: (n,) of the people.
            keypoints_3d: (n, k, 3) metres, in the header's frame; NaN where unknown.
        """
        if not len(track_ids):
            return None
        transforms, frame_id, origin = self._transforms, header.frame_id, np.zeros(3)
        target = frame_id if transforms is None else transforms.frame_id
        found = None if transforms is None else transforms.at(header)
        if found is not None:
            rotation, origin = found
            frame_id, keypoints_3d = target, keypoints_3d @ rotation.T + origin
        if frame_id not in self._filters:
            kept = {name: each for name, each in self._filters.items() if name == target}
            self._filters = {**kept, frame_id: self._new()}
        motion = self._filters[frame_id].update(track_ids, keypoints_3d, header.stamp, origin)
        return replace(motion, frame_id=frame_id)
