# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A posed person in front of a wall, as a stereo depth camera sees them: every truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kp_pose_ros.poses import Poses, observed
from kp_pose_ros.space.camera import CameraModel

_SIDED = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
NAMES = ["nose", *(f"{side}_{part}" for part in _SIDED for side in ("left", "right"))]
WALL = 2.0  # metres behind the person
CAMERA = CameraModel((480, 640), np.array((525.0, 0, 320, 0, 525, 240, 0, 0, 1)))

# Metres from the middle of the hips, of a person 1.7 m tall who faces the camera: x to the right of
# the picture, y down, z away from the camera. One arm is bent, one reaches for the camera.
JOINTS = np.array(
    (
        *((0, -0.63, -0.1), (0.03, -0.67, -0.08), (-0.03, -0.67, -0.08)),
        *((0.075, -0.65, 0), (-0.075, -0.65, 0), (0.19, -0.48, 0), (-0.19, -0.48, 0)),
        *((0.27, -0.2, 0.03), (-0.28, -0.28, -0.2), (0.36, -0.38, -0.1), (-0.3, -0.32, -0.43)),
        *((0.1, 0, 0), (-0.1, 0, 0), (0.12, 0.41, -0.05), (-0.13, 0.41, 0.02)),
        *((0.13, 0.82, 0.03), (-0.15, 0.82, 0.08)),
    )
)
# Pairs of joints with flesh about them, metres thick at either end.
LIMBS = (
    *((5, 7, 0.05, 0.04), (7, 9, 0.04, 0.03), (6, 8, 0.05, 0.04), (8, 10, 0.04, 0.03)),
    *((11, 13, 0.08, 0.06), (13, 15, 0.06, 0.045), (12, 14, 0.08, 0.06), (14, 16, 0.06, 0.045)),
    *((5, 11, 0.1, 0.1), (6, 12, 0.1, 0.1), (5, 6, 0.09, 0.09), (11, 12, 0.1, 0.1)),
    *((5, 12, 0.1, 0.1), (6, 11, 0.1, 0.1), (3, 4, 0.09, 0.09)),
)


@dataclass(frozen=True)
class View:
    """What the camera sees: depth in metres (0: a hole), the poses, and where the skin truly is."""

    depth: np.ndarray
    poses: Poses
    truth: np.ndarray


def render(
    distance: float, seed: int, *, keypoint_noise: float = 0.012, holes: float = 0.1
) -> View:
    """Return a view of a person at a distance in metres.

    Keypoints are wrong by the share of the box's side that the model's were on walking people. The
    depth has the noise of a stereo camera (0.3 % of the distance at 1 m, growing with its square),
    holes of all sizes, and at edges a mixture of both sides.
    """
    random = np.random.default_rng(seed)
    turn = random.uniform(-0.7, 0.7)
    spin = np.array(((np.cos(turn), 0, np.sin(turn)), (0, 1, 0), (-np.sin(turn), 0, np.cos(turn))))
    sideways = random.uniform(-0.15, 0.15) * distance
    joints = JOINTS @ spin.T + (sideways, 0.1, distance)
    clean = _surface(joints, distance + WALL)
    pixels = CAMERA.project(joints)
    truth = _on_skin(clean, pixels)

    mixed = cv2.GaussianBlur(clean, (0, 0), 1.0)
    edges = cv2.morphologyEx(clean, cv2.MORPH_GRADIENT, np.ones((3, 3))) > 0.1
    depth = np.where(edges, mixed, clean)
    depth = depth + random.normal(size=depth.shape) * 0.003 * depth**2
    depth[_holes(depth.shape, random, holes)] = 0

    corners = np.concatenate((pixels.min(axis=0), pixels.max(axis=0)))
    corners += np.array((-15, -20, 15, 10))
    side = np.sqrt((corners[2:] - corners[:2]).prod())
    keypoints = np.full((1, 17, 3), 0.9, np.float32)
    keypoints[0, :, :2] = pixels + random.normal(size=(17, 2)) * keypoint_noise * side
    # A model is not sure of a joint that another limb hides.
    hidden = joints[:, 2] - truth[:, 2] > 0.2
    keypoints[0, hidden | ~_inside(pixels), 2] = 0.1
    boxes = corners[None].astype(np.float32)
    poses = Poses(boxes, np.ones(1, np.float32), keypoints, states=observed(keypoints, 0.5))
    return View(depth, poses, truth)


def _surface(joints: np.ndarray, wall: float) -> np.ndarray:
    """Return the depth of limbs, drawn as many balls, in front of a wall."""
    height, width = CAMERA.size
    v, u = np.mgrid[:height, :width]
    rays = CAMERA.rays(np.stack((u, v), axis=-1) + 0.5)
    depth = np.full((height, width), wall)
    for start, end, thick, thin in LIMBS:
        for share in np.linspace(0, 1, 12):
            center = joints[start] * (1 - share) + joints[end] * share
            _draw_ball(depth, rays, center, thick * (1 - share) + thin * share)
    return depth


def _draw_ball(depth: np.ndarray, rays: np.ndarray, center: np.ndarray, radius: float) -> None:
    reach = 1.5 * CAMERA.matrix[0, 0] * radius / (center[2] - radius) + 1
    left, top = np.maximum(CAMERA.project(center) - reach, 0).astype(int)
    right, bottom = np.maximum(CAMERA.project(center) + reach, 0).astype(int)
    window = np.s_[top:bottom, left:right]
    along = rays[window] @ center
    inside = radius**2 - (center @ center - along**2)
    near = (along - np.sqrt(inside.clip(0))) * rays[window][..., 2]
    depth[window] = np.where(inside > 0, np.minimum(depth[window], near), depth[window])


def _inside(pixels: np.ndarray) -> np.ndarray:
    return ((pixels >= 0) & (pixels < CAMERA.size[::-1])).all(axis=1)


def _on_skin(depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the points of the surface that the camera sees at the joints."""
    column, row = np.where(_inside(pixels)[:, None], pixels, 0).astype(int).T
    z = depth[row, column][:, None]
    return np.concatenate((CAMERA.at_depth_one(pixels), np.ones((len(pixels), 1))), axis=1) * z


def _holes(shape: tuple[int, int], random: np.random.Generator, share: float) -> np.ndarray:
    """Return where nothing was measured: single pixels and patches."""
    fine = random.random(shape) < share
    rough = cv2.GaussianBlur(random.normal(size=shape), (0, 0), 6)
    return fine | (rough > np.quantile(rough, 1 - share))
