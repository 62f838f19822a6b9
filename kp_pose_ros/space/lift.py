# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses in the picture and a depth image -> keypoints in space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kp_pose_ros.poses import ABSENT, Array, Poses
from kp_pose_ros.space.bones import Bones
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.depth import DepthImage

# Metres. A hip this much nearer than its shoulder, and farther from it than in an adult of 1.7 m
# (see Bones), is a table or a counter in front of it: models guess hips there with good scores.
_NEARER, _TORSO = 0.25, 0.5


class Lifter:
    """Finds the keypoints of one skeleton in space."""

    def __init__(self, keypoint_names: Sequence[str]) -> None:
        self._bones = Bones(keypoint_names)
        names = list(keypoint_names)
        torso = [(f"{side}_hip", f"{side}_shoulder") for side in ("left", "right")]
        torso = [ends for ends in torso if set(ends) <= set(names)]
        self._hips = [names.index(hip) for hip, _ in torso]
        self._shoulders = [names.index(shoulder) for _, shoulder in torso]

    def lift(self, poses: Poses, depth: DepthImage, camera: CameraModel) -> Array:
        """Return the keypoints in space, (n, k, 3); NaN where a position is not certain.

        Metres, in the camera's optical frame: x right, y down, z forward. A point lies on the skin
        or the clothes, where the viewing ray of the joint meets them. ABSENT keypoints are NaN.

        Args:
            poses: the people, in pixels of the camera's pictures.
            depth: registered to these pictures, of any size.
            camera: the one that takes the pictures.
        """
        if not len(poses):
            return np.zeros((*poses.states.shape, 3))
        pixels = poses.keypoints[..., :2].astype(np.float64)
        spans = (poses.boxes[:, 2:] - poses.boxes[:, :2]).max(axis=-1)
        z = depth.at(pixels, spans, camera.size)[..., None]
        z[poses.states == ABSENT] = np.nan
        points = np.concatenate((camera.at_depth_one(pixels) * z, z), axis=-1)
        points[~self._bones.plausible(points)] = np.nan
        torsos = points[:, self._shoulders] - points[:, self._hips]
        hidden = (torsos[..., 2] > _NEARER) & (np.linalg.norm(torsos, axis=-1) > _TORSO)
        points[:, self._hips] = np.where(hidden[..., None], np.nan, points[:, self._hips])
        return points
