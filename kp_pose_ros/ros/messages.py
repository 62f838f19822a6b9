# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses and skeletons to messages and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesisWithPose

from kp_pose_ros.msg import Keypoint, Keypoint3D, KeypointPose, PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.poses import UNTRACKED, Floats, Poses
from kp_pose_ros.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the indices in Poses mean.

    Attributes:
        skeleton: names and order of the keypoints.
        class_names: by class id.
    """

    skeleton: Skeleton
    class_names: tuple[str, ...]

    def class_name(self, class_id: int) -> str:
        """Return the name of a class, empty if it has none."""
        return self.class_names[class_id] if 0 <= class_id < len(self.class_names) else ""


def poses_to_msg(
    poses: Poses,
    header: Header,
    size: tuple[int, int],
    vocabulary: Vocabulary,
    places: npt.NDArray[np.float64] | None = None,
) -> PoseArray:
    """Return the message for one image.

    Args:
        poses: what was found in it.
        header: the image's own; it is not copied.
        size: (height, width) of the image in pixels.
        vocabulary: the model's.
        places: (n, k, 3) metres, where the keypoints are in space, NaN where that is not known;
            None: there is no depth.
    """
    height, width = size
    message = PoseArray(
        header=header, image_width=width, image_height=height, skeleton=vocabulary.skeleton.name
    )
    # rclpy refuses numpy's numbers, and one tolist() costs less than many float().
    boxes, ages = _boxes_to_msgs(poses.boxes), _durations(poses)
    keypoints, states = poses.keypoints.tolist(), poses.states.tolist()
    for index, class_id in enumerate(poses.class_ids.tolist()):
        person = KeypointPose(
            track_id=int(poses.track_ids[index]),
            track_age=ages[index],
            class_id=class_id,
            class_name=vocabulary.class_name(class_id),
            score=float(poses.scores[index]),
            bbox=boxes[index],
            keypoints=[
                Keypoint(x=x, y=y, score=score, state=state)
                for (x, y, score), state in zip(keypoints[index], states[index], strict=True)
            ],
            keypoints_3d=[] if places is None else _places_to_msgs(places[index]),
        )
        message.poses.append(person)
    return message


def poses_from_msg(message: PoseArray) -> Poses:
    """Return the poses in a message.

    Raises:
        ValueError: its poses have different numbers of keypoints.
    """
    people = message.poses
    if not people:
        return Poses.empty(0)
    points = [[(each.x, each.y, each.score) for each in person.keypoints] for person in people]
    states = [[each.state for each in person.keypoints] for person in people]
    return Poses(
        boxes=np.array([_box_from_msg(person.bbox) for person in people], np.float32),
        scores=np.array([person.score for person in people], np.float32),
        keypoints=np.array(points, np.float32),
        class_ids=np.array([person.class_id for person in people], np.int32),
        track_ids=np.array([person.track_id for person in people], np.int32),
        track_ages=np.array([_seconds(person.track_age) for person in people]),
        states=np.array(states, np.uint8),
    )


def detections_to_msg(poses: Poses, header: Header, vocabulary: Vocabulary) -> Detection2DArray:
    """Return the boxes alone, for consumers of vision_msgs; an untracked one has an empty id."""
    message = Detection2DArray(header=header)
    for index, bbox in enumerate(_boxes_to_msgs(poses.boxes)):
        class_id, track_id = int(poses.class_ids[index]), int(poses.track_ids[index])
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = vocabulary.class_name(class_id) or str(class_id)
        result.hypothesis.score = float(poses.scores[index])
        name = "" if track_id == UNTRACKED else str(track_id)
        message.detections.append(Detection2D(header=header, results=[result], bbox=bbox, id=name))
    return message


def skeleton_to_msg(vocabulary: Vocabulary) -> SkeletonMsg:
    """Return what the indices in a PoseArray mean."""
    skeleton = vocabulary.skeleton
    return SkeletonMsg(
        name=skeleton.name,
        keypoint_names=list(skeleton.keypoint_names),
        edges=[index for edge in skeleton.edges for index in edge],
        class_names=list(vocabulary.class_names),
    )


def skeleton_from_msg(message: SkeletonMsg) -> Skeleton:
    """Return the skeleton in a message. Colours are not sent: all is the grey of no part."""
    plain = Skeleton.from_names(message.name, message.keypoint_names)
    edges = tuple(zip(message.edges[::2], message.edges[1::2], strict=True))
    return replace(plain, edges=edges, edge_colors=plain.keypoint_colors[:1] * len(edges))


def _places_to_msgs(places: npt.NDArray[np.float64]) -> list[Keypoint3D]:
    messages = []
    for x, y, z in places.tolist():
        message = Keypoint3D(valid=not math.isnan(z))
        if message.valid:
            # Cheaper than a Point of our own: one is made anyway.
            position = message.position
            position.x, position.y, position.z = x, y, z
        messages.append(message)
    return messages


def _boxes_to_msgs(boxes: Floats) -> list[BoundingBox2D]:
    messages = []
    exact = boxes.astype(np.float64)
    centers, sizes = (exact[:, :2] + exact[:, 2:]) / 2, exact[:, 2:] - exact[:, :2]
    for (x, y), (width, height) in zip(centers.tolist(), sizes.tolist(), strict=True):
        message = BoundingBox2D(size_x=width, size_y=height)
        message.center.position.x, message.center.position.y = x, y
        messages.append(message)
    return messages


def _durations(poses: Poses) -> list[Duration]:
    nanoseconds = np.rint(poses.track_ages * 1e9).astype(np.int64)
    return [Duration(sec=age // 10**9, nanosec=age % 10**9) for age in nanoseconds.tolist()]


def _seconds(duration: Duration) -> float:
    return float(duration.sec + duration.nanosec * 1e-9)


def _box_from_msg(bbox: BoundingBox2D) -> tuple[float, float, float, float]:
    center = bbox.center.position
    half_width, half_height = bbox.size_x / 2, bbox.size_y / 2
    return (
        center.x - half_width,
        center.y - half_height,
        center.x + half_width,
        center.y + half_height,
    )
