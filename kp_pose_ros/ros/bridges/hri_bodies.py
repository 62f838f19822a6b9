# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the people in `poses` as bodies of REP-155 (ROS4HRI), each with its own topics."""

from __future__ import annotations

import array
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
from hri_msgs.msg import (
    IdsList,
    NormalizedPointOfInterest2D,
    NormalizedRegionOfInterest2D,
    Skeleton2D,
)
from rclpy.duration import Duration
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp_pose_ros.errors import ModelError
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.msg import PoseArray, Skeleton
from kp_pose_ros.poses import Ints
from kp_pose_ros.ros.bridges.body_frames import BodyFrames, body_id
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.openpose import body_indices, normalized_boxes, openpose_joints
from kp_pose_ros.ros.bridges.pictures import Pictures, declare_transport
from kp_pose_ros.ros.bridges.records import declare_cameras
from kp_pose_ros.ros.messages import poses_from_msg
from kp_pose_ros.ros.qos import LATCHED, RESULTS

_TOPICS = "/humans/bodies"  # absolute, whatever the node's namespace: one list per robot
_TICK = 0.1  # seconds between two checks for bodies that are gone
_MOST_BODIES = 300  # each has three topics
_PATIENCE = Duration(seconds=0.5)  # to deliver the last message before its publisher is destroyed


class Body:
    """The topics of one body.

    Attributes:
        seen: when it was last seen: seconds of simulated time, if used, and of the steady clock.
    """

    def __init__(self, node: Bridge, name: str) -> None:
        self.seen = (0.0, 0.0)
        self._node = node
        topic = f"{_TOPICS}/{name}"
        self._region = node.create_publisher(NormalizedRegionOfInterest2D, f"{topic}/roi", RESULTS)
        self._points = node.create_publisher(Skeleton2D, f"{topic}/skeleton2d", RESULTS)
        self._cropped = node.create_publisher(Image, f"{topic}/cropped", RESULTS)

    @property
    def wants_images(self) -> bool:
        """Whether the cropped image has a subscriber."""
        return bool(self._cropped.get_subscription_count() > 0)

    def publish(
        self, header: Header, box: list[float], score: float, joints: list[list[float]]
    ) -> None:
        """Publish one image's box, x1 y1 x2 y2, and 18 joints, x y score, as fractions of it."""
        if self._region.get_subscription_count():
            region = NormalizedRegionOfInterest2D(header=header, c=score)
            region.xmin, region.ymin, region.xmax, region.ymax = box
            self._region.publish(region)
        if self._points.get_subscription_count():
            points = [NormalizedPointOfInterest2D(x=x, y=y, c=c) for x, y, c in joints]
            self._points.publish(Skeleton2D(header=header, skeleton=points))

    def publish_cropped(self, header: Header, picture: Pixels, box: list[float]) -> None:
        """Publish the part of a BGR picture inside a box of fractions, unless it is empty."""
        height, width = picture.shape[:2]
        x1, x2 = (round(fraction * width) for fraction in box[::2])
        y1, y2 = (round(fraction * height) for fraction in box[1::2])
        part = np.ascontiguousarray(picture[y1:y2, x1:x2])
        if part.size and self.wants_images:
            message = Image(header=header, height=part.shape[0], width=part.shape[1])
            message.encoding, message.step = "bgr8", part.shape[1] * 3
            message.data = array.array("B", part.tobytes())
            self._cropped.publish(message)

    def close(self) -> None:
        """Remove the topics."""
        for publisher in (self._region, self._points, self._cropped):
            self._node.destroy_publisher(publisher)


class Camera:
    """One camera of the pose node: its skeleton, and its latest images if they are needed."""

    def __init__(self, node: Bridge, name: str, image_transport: str) -> None:
        self.prefix = f"{name}/" if name else ""
        self.skeleton: tuple[Skeleton, Ints] | None = None  # with the indices of a body's keypoints
        self.pictures = Pictures(node, f"{self.prefix}image", image_transport)


class HriBodies(Bridge):
    """Publishes the people in `poses` who have a track as bodies.

    A body out of sight keeps its topics for `timeout` seconds, as the tracker keeps its id.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        super().__init__("hri_bridge", **node_arguments)
        about = "Seconds without a detection after which a body is removed."
        self._timeout = self.declare("timeout", 1.0, about, limits=(0.1, 60))
        about = "Broadcast the TF frame of each body whose torso has a 3D position."
        self._frames = BodyFrames(self) if self.declare("frames", True, about) else None
        transport = declare_transport(self)
        self._cameras = [Camera(self, name, transport) for name in declare_cameras(self)]
        self._bodies: dict[str, Body] = {}
        self._moved = self._now()  # when simulated time, if used, last moved
        self._is_ending = False
        self._tracked = self.create_publisher(IdsList, f"{_TOPICS}/tracked", RESULTS)
        for camera in self._cameras:
            on_skeleton, on_poses = (
                partial(f, camera) for f in (self._on_skeleton, self._on_poses)
            )
            skeleton = self.skeleton_topic(camera.prefix)
            self.create_subscription(Skeleton, skeleton, on_skeleton, LATCHED)
            self.create_subscription(PoseArray, f"{camera.prefix}poses", on_poses, RESULTS)
        self.create_steady_timer(_TICK, self._tick)
        topics = ", ".join(self.resolve_topic_name(f"{each.prefix}poses") for each in self._cameras)
        self.ready(f"publishes the people in {topics} on {_TOPICS}")

    async def finish(self) -> None:
        """Publish that no bodies are tracked any more; poses that still arrive are ignored."""
        self._is_ending = True
        self._forget(list(self._bodies))
        self._tracked.wait_for_all_acked(_PATIENCE)

    def _on_skeleton(self, camera: Camera, message: Skeleton) -> None:
        camera.skeleton = None
        try:
            indices = body_indices(message.name, message.keypoint_names)
        except ModelError as error:
            self.get_logger().error(f"{error}; poses with this skeleton are ignored")
            return
        camera.skeleton = message, indices

    def _on_poses(self, camera: Camera, message: PoseArray) -> None:
        if self._is_ending:
            return
        if camera.skeleton is None or camera.skeleton[0].name != message.skeleton:
            return  # the skeleton has not arrived yet, or is not that of a body
        skeleton, indices = camera.skeleton
        try:
            _check(message, skeleton)
            poses = poses_from_msg(message)
        except ValueError as error:
            self._warn(f"a message on '{camera.prefix}poses' was ignored: {error}")
            return
        poses = poses[poses.track_ids >= 0]
        if len({*self._bodies, *map(body_id, poses.track_ids.tolist())}) > _MOST_BODIES:
            self._warn(
                f"a message on '{camera.prefix}poses' was ignored: with its people there would be "
                f"more than {_MOST_BODIES} bodies"
            )
            return
        size = (message.image_height, message.image_width)
        boxes = normalized_boxes(poses.boxes, size).tolist()
        joints = openpose_joints(poses, indices, size).tolist()
        now = self._now()
        bodies = [self._body(body_id(track_id)) for track_id in poses.track_ids.tolist()]
        for index, body in enumerate(bodies):
            body.seen = now
            body.publish(message.header, boxes[index], float(poses.scores[index]), joints[index])
        if self._frames is not None:
            self._frames.broadcast(message, skeleton.keypoint_names)
        self._publish_cropped(camera, message.header, bodies, boxes)
        self._publish_ids(message.header)

    def _publish_cropped(
        self, camera: Camera, header: Header, bodies: list[Body], boxes: list[list[float]]
    ) -> None:
        if not any(body.wants_images for body in bodies):
            return
        picture = camera.pictures.at(header)
        if picture is not None:
            for body, box in zip(bodies, boxes, strict=True):
                body.publish_cropped(header, picture, box)

    def _body(self, name: str) -> Body:
        if name not in self._bodies:
            self.get_logger().debug(f"body {name} begins")
            self._bodies[name] = Body(self, name)
        return self._bodies[name]

    def _tick(self) -> None:
        now = self._now()
        if now[0] != self._moved[0]:
            self._moved = now
        # Simulated time stands still without /clock: then use the steady clock.
        index = int(now[1] - self._moved[1] > self._timeout)
        ages = {name: now[index] - body.seen[index] for name, body in self._bodies.items()}
        # Simulated time steps back a little when messages overtake each other, and far when a bag
        # restarts.
        self._forget([name for name, age in ages.items() if abs(age) > self._timeout])
        wanted = any(body.wants_images for body in self._bodies.values())
        for camera in self._cameras:
            camera.pictures.want(wanted)

    def _forget(self, names: list[str]) -> None:
        for name in names:
            self.get_logger().debug(f"body {name} ends")
            self._bodies.pop(name).close()
        if names:
            self._publish_ids(Header(stamp=self.get_clock().now().to_msg()))

    def _publish_ids(self, header: Header) -> None:
        self._tracked.publish(IdsList(header=header, ids=list(self._bodies)))

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=10.0)

    def _now(self) -> tuple[float, float]:
        """Return simulated time, if used, and the time of the steady clock, in seconds."""
        return self.now() / 1e9, monotonic()


def _check(message: PoseArray, skeleton: Skeleton) -> None:
    counts, expected = {len(each.keypoints) for each in message.poses}, len(skeleton.keypoint_names)
    if not (counts <= {expected} and message.image_width and message.image_height):
        raise ValueError(
            f"expected an image size above 0 and the {expected} keypoints of '{skeleton.name}'"
        )
