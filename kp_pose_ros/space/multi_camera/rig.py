# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several calibrated cameras, and the point in space on which their views of a keypoint agree.

Weighted linear least squares, in two passes (Hartley and Zisserman: Multiple View Geometry in
Computer Vision, 2nd edition, section 12.2; the weights of the second pass: Hartley and Sturm:
Triangulation, CVIU 1997, "Iterative-LS").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import Array
from kp_pose_ros.space.camera import CameraModel

_SAME_PLACE = 1e-3  # metres


@dataclass(frozen=True, slots=True, eq=False)
class Viewpoint:
    """A camera and its pose.

    Attributes:
        camera: its model.
        pose: (4, 4), moves points from the camera's optical frame to the common frame, metres: the
            transform that tf gives from the camera's frame to the common one.

    Raises:
        CalibrationError: the pose is not a rotation and translation.
    """

    camera: CameraModel
    pose: Array

    def __post_init__(self) -> None:
        pose = np.asarray(self.pose, np.float64)
        turn = pose[:3, :3] if pose.shape == (4, 4) else np.zeros((3, 3))
        rigid = np.allclose(turn @ turn.T, np.eye(3), atol=1e-3) and np.linalg.det(turn) > 0
        if not rigid or not np.isfinite(pose).all():
            raise CalibrationError(
                f"a camera has the pose {pose.tolist()}: expected a 4 x 4 matrix of a rotation and "
                "a translation; check its extrinsics"
            )
        object.__setattr__(self, "pose", pose)


class Rig:
    """Cameras that do not move relative to each other.

    Attributes:
        viewpoints: the cameras.
        centers: (views, 3), their positions in the common frame, metres.
    """

    def __init__(self, viewpoints: Sequence[Viewpoint]) -> None:
        """Build a rig of some cameras.

        Raises:
            CalibrationError: fewer than two cameras, or two at the same place.
        """
        if len(viewpoints) < 2:
            raise CalibrationError(f"{len(viewpoints)} camera is given: expected two or more")
        self.viewpoints = tuple(viewpoints)
        self.centers = np.array([view.pose[:3, 3] for view in viewpoints])
        # (views, 3, 4): from the common frame to each camera's.
        self._projections = np.array([np.linalg.inv(view.pose)[:3] for view in viewpoints])
        apart = np.linalg.norm(self.centers[:, None] - self.centers, axis=-1)
        for a, b in np.argwhere(np.triu(apart < _SAME_PLACE, 1)).tolist():
            raise CalibrationError(
                f"cameras {a} and {b} are both at {self.centers[a].tolist()}: expected different "
                "places; check their extrinsics"
            )

    def directions(self, view: int, plane: Array) -> Array:
        """Return the unit rays, (n, k, 3) in the common frame, of (n, k, 2) points at depth 1."""
        rays = np.concatenate((plane, np.ones_like(plane[..., :1])), axis=-1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        turned: Array = rays @ self.viewpoints[view].pose[:3, :3].T
        return turned

    def triangulate(self, seen: Array, trust: Array, tolerance: float) -> Array:
        """Return the (m, k, 3) points that the views agree on, NaN where none do.

        Views that contradict the others are left out, one at a time.

        Args:
            seen: (m, k, views, 2), at depth 1.
            trust: (m, k, views), weights; 0 where a view shows nothing.
            tolerance: radians by which a view's ray may miss the point.
        """
        for _ in range(seen.shape[-2] - 2):
            worst = self._errors(self.solve(seen, trust), seen, trust).max(axis=-1)
            doubtful = (worst > tolerance) & ((trust > 0).sum(axis=-1) > 2)
            if not doubtful.any():
                break
            rest = []
            for view in range(seen.shape[-2]):
                without = trust.copy()
                without[..., view] = 0
                error = self._errors(self.solve(seen, without), seen, without).max(axis=-1)
                rest.append(np.where(trust[..., view] > 0, error, np.inf))
            outlier = np.argmin(rest, axis=0)[..., None]
            kept = np.where(doubtful[..., None], 0, np.take_along_axis(trust, outlier, axis=-1))
            trust = trust.copy()
            np.put_along_axis(trust, outlier, kept, axis=-1)
        points = self.solve(seen, trust)
        good = (trust > 0).sum(axis=-1) >= 2
        good &= self._errors(points, seen, trust).max(axis=-1) <= tolerance
        return np.where(good[..., None], points, np.nan)

    def solve(self, seen: Array, trust: Array) -> Array:
        """Return the least-squares points, (m, k, 3); meaningless with fewer than two views."""
        rows = self._projections[:, None, 2] * seen[..., None] - self._projections[:, :2]
        weights = trust
        for _ in range(2):
            weighted = (rows * weights[..., None, None]).reshape(
                *seen.shape[:2], 2 * seen.shape[2], 4
            )
            left, right = weighted[..., :3], -weighted[..., 3:]
            normal = np.swapaxes(left, -1, -2) @ left
            # Keeps unsolvable systems from raising.
            size = np.trace(normal, axis1=-2, axis2=-1)[..., None, None]
            normal += 1e-12 * (1 + size) * np.eye(3)
            points = np.linalg.solve(normal, np.swapaxes(left, -1, -2) @ right)[..., 0]
            # Weights divided by the depth: this minimises the error in the picture.
            depths = self.in_cameras(points)[..., 2]
            weights = trust / np.maximum(depths, 1e-3)
        return points

    def in_cameras(self, points: Array) -> Array:
        """Return (m, k, 3) points in each camera's frame, (m, k, views, 3)."""
        turned = np.einsum("vij,mkj->mkvi", self._projections[:, :, :3], points)
        positions: Array = turned + self._projections[:, :, 3]
        return positions

    def _errors(self, points: Array, seen: Array, trust: Array) -> Array:
        """Return how far each view is off each point, as an angle at depth 1: (m, k, views)."""
        positions = self.in_cameras(points)
        in_front = positions[..., 2] > 0
        plane = positions[..., :2] / np.where(in_front, positions[..., 2], 1)[..., None]
        error = np.where(in_front, np.linalg.norm(plane - seen, axis=-1), np.inf)
        return np.where(trust > 0, error, 0)
