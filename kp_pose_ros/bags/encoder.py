# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses -> the bytes of messages, those that the node would publish."""

from __future__ import annotations

from typing import Any

import numpy as np

from kp_pose_ros.activities.engine import Event
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.jpeg import JPEG_FORMAT, encode_jpeg
from kp_pose_ros.poses import UNTRACKED, Floats, Poses
from kp_pose_ros.skeleton import Skeleton

POSE_ARRAY = "kp_pose_ros/msg/PoseArray"
SKELETON = "kp_pose_ros/msg/Skeleton"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
ACTIVITY = "kp_pose_ros/msg/Activity"
PICTURE = "sensor_msgs/msg/CompressedImage"

_JPEG_QUALITY = 90


class Encoder:
    """Makes serialized messages of one model's results."""

    def __init__(self, store: Any, skeleton: Skeleton, class_names: tuple[str, ...]) -> None:
        """Make an encoder.

        Args:
            store: a typestore that knows our types.
            skeleton: the model's.
            class_names: the model's, by class id.
        """
        self._store = store
        self._skeleton = skeleton
        self._class_names = class_names

    def skeleton(self) -> bytes:
        """Return what the indices in the other messages mean."""
        message = self._make(
            SKELETON,
            name=self._skeleton.name,
            keypoint_names=list(self._skeleton.keypoint_names),
            edges=np.array(self._skeleton.edges, np.uint16).reshape(-1),
            class_names=list(self._class_names),
        )
        return self._serialize(message, SKELETON)

    def poses(self, poses: Poses, header: Any, size: tuple[int, int]) -> bytes:
        """Return a PoseArray: of one image of `size` (height, width), with its header."""
        message = self._make(
            POSE_ARRAY,
            header=header,
            image_width=size[1],
            image_height=size[0],
            skeleton=self._skeleton.name,
            poses=self._people(poses),
        )
        return self._serialize(message, POSE_ARRAY)

    def detections(self, poses: Poses, header: Any) -> bytes:
        """Return the boxes alone as a Detection2DArray; an untracked one has an empty id."""
        detections = [
            self._make(
                "vision_msgs/msg/Detection2D",
                header=header,
                results=[self._hypothesis(class_id, score)],
                bbox=bbox,
                id="" if track_id == UNTRACKED else str(track_id),
            )
            for bbox, class_id, score, track_id in zip(
                self._boxes(poses.boxes),
                poses.class_ids.tolist(),
                poses.scores.tolist(),
                poses.track_ids.tolist(),
                strict=True,
            )
        ]
        message = self._make(DETECTIONS, header=header, detections=detections)
        return self._serialize(message, DETECTIONS)

    def activity(self, event: Event, header: Any) -> bytes:
        """Return an Activity: of the image with this header."""
        message = self._make(
            ACTIVITY,
            header=header,
            camera=event.camera,
            state=event.is_end + 1,
            activity=event.activity,
            track_ids=np.array(event.track_ids, np.int32),
            since=self._time(event.since_ms),
            until=self._time(event.until_ms),
            images=event.images,
        )
        return self._serialize(message, ACTIVITY)

    def picture(self, picture: Pixels, header: Any) -> bytes:
        """Return a (height, width, 3) BGR picture as a JPEG CompressedImage."""
        jpeg = encode_jpeg(picture, _JPEG_QUALITY)
        message = self._make(PICTURE, header=header, format=JPEG_FORMAT, data=jpeg)
        return self._serialize(message, PICTURE)

    def _people(self, poses: Poses) -> list[Any]:
        keypoints, states = poses.keypoints.tolist(), poses.states.tolist()
        nanoseconds = np.rint(poses.track_ages * 1e9).astype(np.int64).tolist()
        keypoint = self._store.types["kp_pose_ros/msg/Keypoint"]
        return [
            self._make(
                "kp_pose_ros/msg/KeypointPose",
                track_id=int(poses.track_ids[index]),
                track_age=self._make(
                    "builtin_interfaces/msg/Duration",
                    sec=nanoseconds[index] // 10**9,
                    nanosec=nanoseconds[index] % 10**9,
                ),
                class_id=int(poses.class_ids[index]),
                class_name=self._class_name(int(poses.class_ids[index])),
                score=float(poses.scores[index]),
                bbox=bbox,
                keypoints=[
                    keypoint(x=x, y=y, score=score, state=state)
                    for (x, y, score), state in zip(keypoints[index], states[index], strict=True)
                ],
                keypoints_3d=[],
                motion=self._unknown_motion(),
                joined_cameras=[],
                joined_track_ids=np.zeros(0, np.int32),
            )
            for index, bbox in enumerate(self._boxes(poses.boxes))
        ]

    def _unknown_motion(self) -> Any:
        zeros = dict.fromkeys("xyz", 0.0)
        return self._make(
            "kp_pose_ros/msg/Motion",
            position=self._make("geometry_msgs/msg/Point", **zeros),
            position_covariance=np.zeros(9),
            position_valid=False,
            velocity=self._make("geometry_msgs/msg/Vector3", **zeros),
            velocity_covariance=np.zeros(9),
            velocity_valid=False,
        )

    def _hypothesis(self, class_id: int, score: float) -> Any:
        zeros = dict.fromkeys("xyz", 0.0)
        pose = self._make(
            "geometry_msgs/msg/Pose",
            position=self._make("geometry_msgs/msg/Point", **zeros),
            orientation=self._make("geometry_msgs/msg/Quaternion", **zeros, w=1.0),
        )
        return self._make(
            "vision_msgs/msg/ObjectHypothesisWithPose",
            hypothesis=self._make(
                "vision_msgs/msg/ObjectHypothesis",
                class_id=self._class_name(class_id) or str(class_id),
                score=score,
            ),
            pose=self._make(
                "geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)
            ),
        )

    def _boxes(self, boxes: Floats) -> list[Any]:
        exact = boxes.astype(np.float64)
        centers, sizes = (exact[:, :2] + exact[:, 2:]) / 2, exact[:, 2:] - exact[:, :2]
        return [
            self._make(
                "vision_msgs/msg/BoundingBox2D",
                center=self._make(
                    "vision_msgs/msg/Pose2D",
                    position=self._make("vision_msgs/msg/Point2D", x=x, y=y),
                    theta=0.0,
                ),
                size_x=width,
                size_y=height,
            )
            for (x, y), (width, height) in zip(centers.tolist(), sizes.tolist(), strict=True)
        ]

    def _class_name(self, class_id: int) -> str:
        return self._class_names[class_id] if 0 <= class_id < len(self._class_names) else ""

    def _time(self, milliseconds: int) -> Any:
        sec, rest = divmod(milliseconds, 1000)
        return self._make("builtin_interfaces/msg/Time", sec=sec, nanosec=rest * 10**6)

    def _make(self, type_name: str, **fields: Any) -> Any:
        return self._store.types[type_name](**fields)

    def _serialize(self, message: Any, type_name: str) -> bytes:
        return bytes(self._store.serialize_cdr(message, type_name))
