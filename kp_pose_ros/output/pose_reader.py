# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the poses of a serialized PoseArray, without message objects in between.

rclpy needs 1 ms to turn five people into Python objects; this takes a tenth of that. See
image/cdr.py for the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.cdr import ByteOrder, CdrReader, Header
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.output.cdr import KEYPOINT_3D, MOTION
from kp_pose_ros.poses import Array, Poses

_KEYPOINT = 16  # bytes: x, y, score, and the state with its padding
_MOTION_AND_LENGTH = f"0d{MOTION.itemsize}xI"  # the length of the motion's frame_id


@dataclass(frozen=True, slots=True)
class PoseArrayFields:
    """kp_pose_ros/PoseArray, without class names, motion and joined tracks."""

    header: Header  # that of the image
    size: tuple[int, int]  # (height, width) of the image in pixels
    skeleton: str  # its name
    poses: Poses
    # (n, k, 3) metres, NaN where unknown; None if no pose has any
    keypoints_3d: Array | None


class _Person(NamedTuple):
    """The numbers of a person, and the elements of two fields as bytes.

    `numbers` are the track id, age, class id and score, and the box's centre and size.
    """

    numbers: tuple[float, ...]
    keypoints: memoryview
    keypoints_3d: memoryview


def read_pose_array(message: Pixels) -> PoseArrayFields:
    """Return the fields of a serialized PoseArray.

    Raises:
        FrameError: the bytes are no such message.
        ValueError: its poses have different numbers of keypoints.
    """
    reader = CdrReader(message)
    header = reader.header()
    width, height = reader.fields("II")
    skeleton = reader.text()
    (count,) = reader.fields("I")
    people = [_person(reader) for _ in range(count)]
    poses = _poses(people, reader.order) if people else Poses.empty(0)
    keypoints_3d = _keypoints_3d(people, poses.keypoints.shape[1], reader.order)
    return PoseArrayFields(header, (height, width), skeleton, poses, keypoints_3d)


def _person(reader: CdrReader) -> _Person:
    track_id, seconds, nanoseconds, class_id, length = reader.fields("iiIiI")
    reader.skip(length)  # class_name
    score, x, y, _, width, height, count = reader.fields("f5dI")
    keypoints = reader.block(count * _KEYPOINT)
    (count,) = reader.fields("I")
    keypoints_3d = reader.block(count * KEYPOINT_3D.itemsize, alignment=8)
    (length,) = reader.fields(_MOTION_AND_LENGTH)
    reader.skip(length)  # frame_id of the motion
    (count,) = reader.fields("I")
    for _ in range(count):
        reader.skip(*reader.fields("I"))  # joined_cameras
    reader.skip(4 * reader.fields("I")[0])  # joined_track_ids
    age = seconds + nanoseconds * 1e-9
    numbers = track_id, age, class_id, score, x, y, width, height
    return _Person(numbers, keypoints, keypoints_3d)


def _poses(people: list[_Person], order: ByteOrder) -> Poses:
    counts = {len(person.keypoints) // _KEYPOINT for person in people}
    if len(counts) > 1:
        raise ValueError(
            f"its poses have {min(counts)} to {max(counts)} keypoints: expected the same number"
        )
    content = b"".join([person.keypoints for person in people])
    keypoints = np.frombuffer(content, f"{order}f4").reshape(len(people), -1, 4)
    numbers = np.array([person.numbers for person in people])
    centers, halves = numbers[:, 4:6], numbers[:, 6:] / 2
    with np.errstate(over="ignore", invalid="ignore"):  # becomes infinite or NaN
        boxes = np.hstack([centers - halves, centers + halves]).astype(np.float32)
    return Poses(
        boxes=boxes,
        scores=numbers[:, 3].astype(np.float32),
        keypoints=keypoints[..., :3].astype(np.float32),
        class_ids=numbers[:, 2].astype(np.int32),
        track_ids=numbers[:, 0].astype(np.int32),
        track_ages=numbers[:, 1],
        states=keypoints.view(np.uint8)[..., 12],
    )


def _keypoints_3d(people: list[_Person], count: int, order: ByteOrder) -> Array | None:
    if not any(person.keypoints_3d for person in people):
        return None
    size = count * KEYPOINT_3D.itemsize
    for person in people:
        if len(person.keypoints_3d) not in (0, size):
            found = len(person.keypoints_3d) // KEYPOINT_3D.itemsize
            raise ValueError(f"a pose has {found} of {count} keypoints_3d")
    content = b"".join([person.keypoints_3d or bytes(size) for person in people])
    kind = KEYPOINT_3D.newbyteorder(order)
    points: npt.NDArray[np.void] = np.frombuffer(content, kind).reshape(-1, count)
    return np.where(points["valid"][..., None] != 0, points["position"], np.nan)
