# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People who walk about in the room, as its cameras' trackers see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from room import STANDING, seen_by

from kp_pose_ros.poses import Poses
from kp_pose_ros.space.multi_camera.rig import Viewpoint

RATE = 10  # images a second
_STEP = 2 * np.pi * 0.9  # strides of a leg, radians a second
_LEGS = {13: (0.1, 0), 15: (0.25, 0), 14: (0.1, np.pi), 16: (0.25, np.pi)}  # knees and ankles


def walks(count: int, seconds: float, seed: int, reach: float = 2.0) -> np.ndarray:
    """Return the joints of people who wander about: (times, count, 17, 3) metres, z up."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    joints = np.empty((len(time), count, 17, 3))
    for person in range(count):
        speeds, phases = random.uniform(0.15, 0.5, 4), random.uniform(0, 2 * np.pi, 4)
        way = reach * np.sin(time[:, None] * speeds + phases)[:, :2]
        way += 0.3 * reach * np.sin(2.3 * time[:, None] * speeds + phases)[:, 2:]
        along = np.gradient(way, axis=0)
        turn = np.arctan2(along[:, 1], along[:, 0]) - np.pi / 2
        body = np.repeat(STANDING[None] * random.uniform(0.95, 1.05), len(time), axis=0)
        for joint, (stride, phase) in _LEGS.items():
            body[:, joint, 1] += stride * np.sin(_STEP * time + phase + phases[0])
        spin = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
        joints[:, person, :, :2] = np.einsum("ijt,tkj->tki", spin, body[..., :2]) + way[:, None]
        joints[:, person, :, 2] = body[..., 2]
    return joints


def recording(
    cameras: Mapping[str, Viewpoint],
    joints: np.ndarray,
    *,
    seed: int,
    noise: float = 1.0,
    wrong: float = 0.0,
    track: float = 20.0,
) -> list[dict[str, Poses]]:
    """Return what each camera sees at each time.

    Args:
        cameras: by name.
        joints: those of `walks`.
        seed: of all that is random.
        noise: pixels.
        wrong: share of the poses that belong to nobody who is there.
        track: seconds after which a tracker loses somebody, on average.
    """
    random = np.random.default_rng(seed)
    ids = {name: random.permutation(joints.shape[1]) for name in cameras}
    moments = []
    for people in joints:
        moment = {}
        for name, viewpoint in cameras.items():
            lost = random.random(len(ids[name])) < 1 / (RATE * track)
            ids[name] = np.where(lost, ids[name].max() + 1 + np.arange(len(lost)), ids[name])
            poses = seen_by(viewpoint, people, noise, int(random.integers(2**31)))
            stray = random.random(len(people)) < wrong
            poses.keypoints[stray, :, :2] += random.uniform(-300, 300, (stray.sum(), 1, 2))
            poses = replace(poses, track_ids=ids[name].astype(np.int32))
            moment[name] = poses[_inside(viewpoint, people, poses)]
        moments.append(moment)
    return moments


def _inside(viewpoint: Viewpoint, people: np.ndarray, poses: Poses) -> np.ndarray:
    """Return which poses are in front of the camera and, for the most part, in its image."""
    pose = np.linalg.inv(viewpoint.pose)
    ahead = (people @ pose[2, :3] + pose[2, 3] > 0.3).all(axis=1)
    points, size = poses.keypoints[..., :2], viewpoint.camera.size[::-1]
    return ahead & (((points >= 0) & (points < size)).all(axis=-1).mean(axis=1) > 0.7)
