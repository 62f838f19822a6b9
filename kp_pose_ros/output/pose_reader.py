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

from kp_pose_ros.image.cdr import CdrReader, Header
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.output.cdr import KEYPOINT_3D, KEYPOINT_3D_PADDING, KEYPOINT_PADDING
from kp_pose_ros.poses import Poses

_KEYPOINT = np.dtype(
    {"names": ["point", "state"], "formats": [("<f4", 3), "u1"], "offsets": [0, 12], "itemsize": 16}
)


@dataclass(frozen=True, slots=True)
class PoseArrayFields:
    """kp_pose_ros/PoseArray, without class names, motion and joined tracks.

    Attributes:
        header: the image's.
        size: (height, width) of the image in pixels.
        skeleton: the skeleton's name.
        poses: the poses.
        keypoints_3d: (n, k, 3) metres, NaN where unknown; None if no pose has any.
    """

    header: Header
    size: tuple[int, int]
    skeleton: str
    poses: Poses
    keypoints_3d: npt.NDArray[np.float64] | None


class _Person(NamedTuple):
    track_id: int
    age: float
    class_id: int
    score: float
    box: tuple[float, float, float, float]
    keypoints: npt.NDArray[np.void]
    keypoints_3d: npt.NDArray[np.void]


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
    poses = _poses(people) if people else Poses.empty(0)
    return PoseArrayFields(header, (height, width), skeleton, poses, _keypoints_3d(people))


def _person(reader: CdrReader) -> _Person:
    track_id, seconds, nanoseconds, class_id = reader.fields("iiIi")
    reader.text()  # class_name
    score, x, y, _, width, height = reader.fields("f5d")
    keypoints = reader.elements(_KEYPOINT, alignment=4, padding=KEYPOINT_PADDING)
    keypoints_3d = reader.elements(KEYPOINT_3D, alignment=8, padding=KEYPOINT_3D_PADDING)
    reader.fields("12dB12dB")  # motion
    reader.text()
    for _ in range(reader.fields("I")[0]):  # joined_cameras
        reader.text()
    reader.fields("{}i".format(*reader.fields("I")))  # joined_track_ids
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    age = seconds + nanoseconds * 1e-9
    return _Person(track_id, age, class_id, score, box, keypoints, keypoints_3d)


def _poses(people: list[_Person]) -> Poses:
    counts = {len(person.keypoints) for person in people}
    if len(counts) > 1:
        raise ValueError(
            f"its poses have {min(counts)} to {max(counts)} keypoints: expected the same number"
        )
    keypoints = np.stack([person.keypoints for person in people])
    with np.errstate(over="ignore"):  # becomes infinite
        boxes = np.array([person.box for person in people], np.float32)
    return Poses(
        boxes=boxes,
        scores=np.array([person.score for person in people], np.float32),
        keypoints=keypoints["point"].astype(np.float32),
        class_ids=np.array([person.class_id for person in people], np.int32),
        track_ids=np.array([person.track_id for person in people], np.int32),
        track_ages=np.array([person.age for person in people]),
        states=keypoints["state"],
    )


def _keypoints_3d(people: list[_Person]) -> npt.NDArray[np.float64] | None:
    if not any(len(person.keypoints_3d) for person in people):
        return None
    count = len(people[0].keypoints)
    found = np.full((len(people), count, 3), np.nan)
    for row, person in zip(found, people, strict=True):
        points = person.keypoints_3d
        if len(points) not in (0, count):
            raise ValueError(f"a pose has {len(points)} of {count} keypoints_3d")
        known = points["valid"] != 0
        row[np.flatnonzero(known)] = points["position"][known]
    return found
