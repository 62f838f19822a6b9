# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People in one image, as a follower gets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scenes import STANDING

from kp_pose_ros.following.clothes import BINS, PARTS
from kp_pose_ros.following.kinematics import coordinates
from kp_pose_ros.following.person import People
from kp_pose_ros.poses import Poses, observed
from kp_pose_ros.skeleton import Skeleton

NAMES = Skeleton.builtin("coco17").keypoint_names
SIZE, FOCAL = (480, 640), 500.0
RED, BLUE, GREEN = range(3)
SECOND = 10**9


@dataclass(frozen=True)
class Someone:
    """A person at so many metres to the right and forward, in a colour or in unknown clothes.

    With a raised hand, the left wrist is above the head.
    """

    track_id: int
    x: float = 0.0
    z: float = 3.0
    colour: int | None = RED
    depth: bool = True
    raised: bool = False


def poses_of(*someone: Someone) -> Poses:
    """Return their poses in the image."""
    points = np.zeros((len(someone), 17, 3), np.float32)
    for row, each in zip(points, someone, strict=True):
        middle = SIZE[1] / 2 + FOCAL * each.x / each.z, SIZE[0] / 2
        row[:, :2] = middle + STANDING * 1.7 * FOCAL / each.z
        if each.raised:
            wrist, eye = NAMES.index("left_wrist"), NAMES.index("left_eye")
            row[wrist, 1] = row[eye, 1] - 20
    points[..., 2] = 0.9
    low, high = points[..., :2].min(axis=1), points[..., :2].max(axis=1)
    return Poses(
        np.concatenate((low, high), axis=1),
        np.full(len(someone), 0.9, np.float32),
        points,
        track_ids=np.array([each.track_id for each in someone], np.int32),
        states=observed(points, 0.5),
    )


def look(colour: int | None) -> np.ndarray:
    """Return clothes of one colour; the three have nothing in common."""
    found = np.full((PARTS, BINS), np.nan)
    if colour is not None:
        found[:] = 0
        found[:, 2 * colour : 2 * colour + 2] = 0.5
    return found


def people(*someone: Someone, shift: float = 0.0) -> People:
    """Return them as a follower gets them; a camera that turns shifts all, by pixels."""
    poses = poses_of(*someone)
    positions = np.array(
        [(s.x, 0.0, s.z) if s.depth else (np.nan,) * 3 for s in someone], np.float64
    ).reshape(-1, 3)
    where = coordinates(poses, positions, NAMES)
    where[:, 0] += shift
    return People(
        poses=poses,
        positions=positions,
        velocities=np.zeros_like(positions),
        histograms=np.array([look(s.colour) for s in someone]).reshape(-1, PARTS, BINS),
        coordinates=where,
        size=SIZE,
    )
