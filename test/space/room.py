# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A room with three calibrated cameras, and people in it."""

import numpy as np
from rendered import JOINTS

from kp_pose_ros.poses import Poses, observed
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.rig import Viewpoint

FOCAL = 800.0
CAMERA = CameraModel((720, 1280), np.array((FOCAL, 0, 640, 0, FOCAL, 360, 0, 0, 1)))
WIDE = CameraModel(
    (720, 1280),
    np.array((600.0, 0, 640, 0, 600, 360, 0, 0, 1)),
    "equidistant",
    np.array((-0.01, 0.05, -0.045, 0.008)),
)


def looking_at_the_middle(x: float, y: float, z: float, camera=CAMERA) -> Viewpoint:
    """Return a camera at a place of a room (z up, metres) that looks at 1 m above its middle."""
    forward = np.array((0, 0, 1.0)) - (x, y, z)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward), axis=1)
    pose[:3, 3] = (x, y, z)
    return Viewpoint(camera, pose)


ROOM = (
    looking_at_the_middle(-4, -3, 2.2),
    looking_at_the_middle(4, -3.5, 2.8),
    looking_at_the_middle(0.5, 5, 1.6),
)
# Joints of a person who stands in the middle of the room.
STANDING = np.stack((JOINTS[:, 0], JOINTS[:, 2], 0.85 - JOINTS[:, 1]), axis=1)


def people(count: int, seed: int) -> np.ndarray:
    """Return the (count, 17, 3) joints of people at different places who look about."""
    random = np.random.default_rng(seed)
    places: list[np.ndarray] = []
    while len(places) < count:
        place = random.uniform(-1.5, 1.5, 2)
        if all(np.linalg.norm(place - other) > 0.6 for other in places):
            places.append(place)
    turns = random.uniform(0, 2 * np.pi, count)
    spins = np.array([((np.cos(t), -np.sin(t)), (np.sin(t), np.cos(t))) for t in turns])
    joints = np.repeat(STANDING[None], count, axis=0) * random.uniform(0.9, 1.1, (count, 1, 1))
    joints[..., :2] = np.einsum("nij,nkj->nki", spins, joints[..., :2]) + np.array(places)[:, None]
    return joints


def seen_by(viewpoint: Viewpoint, joints: np.ndarray, noise=0.0, seed=0) -> Poses:
    """Return the poses that a camera's model detects of (n, 17, 3) joints; noise in pixels."""
    pose = np.linalg.inv(viewpoint.pose)
    keypoints = np.full((*joints.shape[:2], 3), 0.9, np.float32)
    keypoints[..., :2] = viewpoint.camera.project(joints @ pose[:3, :3].T + pose[:3, 3])
    random = np.random.default_rng(seed)
    keypoints[..., :2] += random.normal(size=(*joints.shape[:2], 2)) * noise
    boxes = np.concatenate((keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)), axis=1)
    return Poses(
        boxes, np.ones(len(joints), np.float32), keypoints, states=observed(keypoints, 0.5)
    )
