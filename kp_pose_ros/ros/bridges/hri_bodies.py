# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The people in `poses` as REP-155 (ROS4HRI) has bodies: each with topics of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from hri_msgs.msg import IdsList
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble's place of it
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Header

from kp_pose_ros.errors import ModelError
from kp_pose_ros.msg import PoseArray, Skeleton
from kp_pose_ros.poses import UNTRACKED, Ints
from kp_pose_ros.ros.bridges.hri_body import TOPICS, Body
from kp_pose_ros.ros.bridges.openpose import body_indices, normalized_boxes, openpose_joints
from kp_pose_ros.ros.messages import LATCHED, RESULTS, poses_from_msg
from kp_pose_ros.settings import Setting

_TICK = 0.1  # seconds between two looks for bodies that are gone
_PATIENCE = Duration(seconds=0.5)  # for the last message to arrive; it would go with its publisher
_RULES = {
    "cameras": Setting(("",), "The pose node's cameras; one empty name: no prefix."),
    "timeout": Setting(1.0, "Seconds out of sight after which a body is gone.", limits=(0.1, 60)),
}


class HriBodies(Node):
    """Publishes the people that have a track in `poses` as bodies.

    A body out of sight keeps its topics for a moment, because the tracker keeps its id, too.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        super().__init__("hri_bridge", **node_arguments)
        cameras, timeout = (self._parameter(name) for name in ("cameras", "timeout"))
        self._timeout = round(timeout * 1e9)
        self._skeletons: dict[str, tuple[Skeleton, Ints]] = {}  # by prefix: those that are bodies'
        self._bodies: dict[str, Body] = {}
        self._tracked = self.create_publisher(IdsList, f"{TOPICS}/tracked", RESULTS)
        for camera in cameras:
            prefix = f"{camera}/" if camera else ""
            on_skeleton, on_poses = (
                partial(f, prefix) for f in (self._on_skeleton, self._on_poses)
            )
            self.create_subscription(Skeleton, f"{prefix}skeleton", on_skeleton, LATCHED)
            self.create_subscription(PoseArray, f"{prefix}poses", on_poses, RESULTS)
        # By the machine's own clock: simulated time may stand still.
        self.create_timer(_TICK, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Say that nobody is tracked any more, and end."""
        self._forget(list(self._bodies))
        self._tracked.wait_for_all_acked(_PATIENCE)
        super().destroy_node()

    def _parameter(self, name: str) -> Any:
        rule = _RULES[name]
        default = list(rule.default) if isinstance(rule.default, tuple) else rule.default
        # Of any type, for the rule to say in a sentence what is wrong with it.
        about = ParameterDescriptor(
            description=rule.description, read_only=True, dynamic_typing=True
        )
        return rule.check(name, self.declare_parameter(name, default, about).value)

    def _on_skeleton(self, prefix: str, message: Skeleton) -> None:
        self._skeletons.pop(prefix, None)
        try:
            indices = body_indices(message.name, message.keypoint_names)
        except ModelError as error:
            self.get_logger().error(f"{error}; its poses are left out")
            return
        self._skeletons[prefix] = message, indices

    def _on_poses(self, prefix: str, message: PoseArray) -> None:
        known = self._skeletons.get(prefix)
        if known is None or known[0].name != message.skeleton:
            return  # it is on its way, or no body's
        skeleton, indices = known
        if not _fits(message, skeleton):
            self.get_logger().warning(
                f"a message on '{prefix}poses' was left out: its size or its keypoints contradict "
                f"the skeleton '{skeleton.name}'",
                throttle_duration_sec=10.0,
            )
            return
        poses = poses_from_msg(message)
        poses = poses[poses.track_ids != UNTRACKED]
        size = (message.image_height, message.image_width)
        boxes = normalized_boxes(poses.boxes, size).tolist()
        joints = openpose_joints(poses, indices, size).tolist()
        now = self._now()
        for index, track_id in enumerate(poses.track_ids.tolist()):
            # Not the number alone: a part of a topic's name must not begin with a digit.
            body = self._body(f"kp{track_id}")
            body.seen = now
            body.publish(message.header, boxes[index], float(poses.scores[index]), joints[index])
        self._tell(message.header)

    def _body(self, name: str) -> Body:
        if name not in self._bodies:
            self._bodies[name] = Body(self, name)
        return self._bodies[name]

    def _tick(self) -> None:
        now = self._now()
        # The clock may jump back, as when a bag starts again.
        ages = {name: now - body.seen for name, body in self._bodies.items()}
        self._forget([name for name, age in ages.items() if not 0 <= age <= self._timeout])

    def _forget(self, names: list[str]) -> None:
        for name in names:
            self._bodies.pop(name).close()
        if names:
            self._tell(Header(stamp=self.get_clock().now().to_msg()))

    def _tell(self, header: Header) -> None:
        self._tracked.publish(IdsList(header=header, ids=list(self._bodies)))

    def _now(self) -> int:
        nanoseconds: int = self.get_clock().now().nanoseconds
        return nanoseconds


def _fits(message: PoseArray, skeleton: Skeleton) -> bool:
    counts = {len(person.keypoints) for person in message.poses}
    return (
        counts <= {len(skeleton.keypoint_names)} and message.image_width * message.image_height > 0
    )
