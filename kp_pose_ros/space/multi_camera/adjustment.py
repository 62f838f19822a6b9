# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment: the camera poses with the least reprojection error of people's keypoints.

See Triggs et al.: Bundle Adjustment - A Modern Synthesis, 1999. The poses of the cameras are the
only variables: every step triangulates each keypoint again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import ABSENT, Array, Bools, Poses
from kp_pose_ros.space.multi_camera.rig import Rig, Viewpoint
from kp_pose_ros.space.multi_camera.triangulation import MISSING, Triangulator

Moment = Mapping[str, Poses]  # what cameras saw at one time, by name
Viewpoints = Mapping[str, Viewpoint]

LEAST_IMAGES = 20  # pairs of images in which two cameras agree on a person
_NOISE = 2.0  # pixels, a usual error of a keypoint; in the first pass, larger ones count less
_OUTLIER = 4.0  # standard deviations beyond which a keypoint is left out of the last pass
_FARTHEST = 1e4  # pixels; no error is larger
_ENOUGH = 1e-4  # least share by which a step must lower the error; else the adjustment ends
_MOST_STEPS = 25
_GAUGE = 1e4  # weight that keeps the distance between the first two cameras fixed


class Seen(NamedTuple):
    """The keypoints of m people in v views."""

    pixels: Array  # (m, k, v, 2)
    plane: Array  # (m, k, v, 2), the same at depth 1
    # (m, k, v), 1 where a keypoint is used (which takes two or more views), otherwise 0
    trust: Array

    def only(self, used: Bools) -> Seen:
        """Return the same with only those keypoints that are also `used`, (m, k, v)."""
        trust = self.trust * used
        return self._replace(trust=trust * (trust.sum(axis=-1, keepdims=True) >= 2))


def observe(viewpoints: Viewpoints, moments: Sequence[Moment]) -> Seen:
    """Return the people on whom two or more cameras agree, and their keypoints.

    Raises:
        CalibrationError: there are too few.
    """
    triangulator = Triangulator(list(viewpoints.values()))
    count = next(iter(moments[0].values())).keypoints.shape[1]
    pixels, trust = [], []
    for moment in moments:
        views = [moment.get(name, Poses.empty(count)) for name in viewpoints]
        joined = triangulator.join(views)
        found = np.isfinite(joined.points[..., 0])
        pixels.append(np.zeros((*found.shape, len(views), 2)))
        trust.append(np.zeros((*found.shape, len(views))))
        for v, (poses, index) in enumerate(zip(views, joined.members.T, strict=True)):
            rows = index != MISSING
            pixels[-1][rows, :, v] = poses.keypoints[index[rows], :, :2]
            trust[-1][rows, :, v] = found[rows] & (poses.states[index[rows]] != ABSENT)
    everything, used = np.concatenate(pixels), np.concatenate(trust)
    plane = np.stack(
        [
            each.camera.at_depth_one(everything[:, :, v])
            for v, each in enumerate(viewpoints.values())
        ],
        axis=-2,
    )
    seen = Seen(everything, np.nan_to_num(plane), used).only(np.isfinite(plane[..., 0]))
    images = seen.trust.any(axis=1).sum(axis=0)
    for name, of_camera in zip(viewpoints, images.tolist(), strict=True):
        if of_camera < LEAST_IMAGES:
            raise CalibrationError(
                f"camera '{name}' agrees with the others on a person in {of_camera} images: "
                f"expected {LEAST_IMAGES} or more; have people walk around where the views overlap"
            )
    return seen


def points_of(viewpoints: Viewpoints, seen: Seen) -> Array:
    """Return the (m, k, 3) points; NaN where fewer than two views are used."""
    points = Rig(list(viewpoints.values())).solve(seen.plane, seen.trust)
    points[seen.trust.sum(axis=-1) == 0] = np.nan
    return points


def _errors(viewpoints: Viewpoints, seen: Seen) -> Array:
    """Return (m, k, v, 2) pixels, from the projections to the keypoints; 0 where none is used."""
    rig = Rig(list(viewpoints.values()))
    positions = rig.in_cameras(rig.solve(seen.plane, seen.trust))
    shown = np.stack(
        [each.camera.project(positions[:, :, v]) for v, each in enumerate(rig.viewpoints)], axis=-2
    )
    errors = np.nan_to_num(shown - seen.pixels).clip(-_FARTHEST, _FARTHEST)
    return np.where(seen.trust[..., None] > 0, errors, 0)


class Refined(NamedTuple):
    """The camera poses of least error."""

    viewpoints: dict[str, Viewpoint]  # the cameras
    errors: Array  # (n, 2), reprojection errors of the keypoints used, pixels
    angles: Array  # (v,), standard deviation of the rotations, radians
    distances: Array  # (v,), standard deviation of the positions


def refine(viewpoints: Viewpoints, seen: Seen, loss: str) -> Refined:
    """Return the poses of least error. The first camera and its distance to another stay fixed.

    The standard deviations follow from the remaining errors. A body counts as one measurement,
    because the errors of its keypoints are correlated.
    """
    names = list(viewpoints)
    apart = np.linalg.norm(viewpoints[names[1]].pose[:3, 3])
    used = seen.trust > 0

    def moved(steps: Array) -> dict[str, Viewpoint]:
        rows = np.concatenate((np.zeros((1, 6)), steps.reshape(-1, 6)))
        return {
            name: _moved(view, row)
            for (name, view), row in zip(viewpoints.items(), rows, strict=True)
        }

    def cost(steps: Array) -> Array:
        now = moved(steps)
        stretched = np.linalg.norm(now[names[1]].pose[:3, 3]) / apart - 1
        return np.append(_errors(now, seen)[used].ravel(), _GAUGE * stretched)

    found = least_squares(
        cost,
        np.zeros(6 * (len(names) - 1)),
        loss=loss,
        f_scale=_NOISE,
        x_scale="jac",
        ftol=_ENOUGH,
        max_nfev=_MOST_STEPS,
    )
    best = moved(found.x)
    errors = _errors(best, seen)[used]
    freedom = max(2 * len(errors) - 3 * used.any(axis=-1).sum() - len(found.x), 1)
    of_a_body = used.sum() / max(used.any(axis=1).sum(), 1)
    information = found.jac.T @ found.jac + 1e-12 * np.eye(len(found.x))
    variances = np.diag(np.linalg.inv(information)) * np.square(errors).sum() / freedom * of_a_body
    deviations = np.sqrt(np.append(np.zeros(6), variances).reshape(-1, 2, 3).sum(axis=-1))
    return Refined(best, errors, deviations[:, 0], deviations[:, 1])


def _moved(view: Viewpoint, step: Array) -> Viewpoint:
    """Return a camera turned about its axes by a rotation vector, and shifted: (6,)."""
    pose = view.pose.copy()
    pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(step[:3]).as_matrix()
    pose[:3, 3] += step[3:]
    return Viewpoint(view.camera, pose)


def scaled(viewpoints: Viewpoints, scale: float) -> dict[str, Viewpoint]:
    """Return the cameras with all lengths multiplied by `scale`."""
    scales = np.array((*[[1, 1, 1, scale]] * 3, (1, 1, 1, 1)))
    return {name: Viewpoint(each.camera, each.pose * scales) for name, each in viewpoints.items()}


def without_outliers(viewpoints: Viewpoints, seen: Seen) -> Seen:
    """Return the same without keypoints whose error is unusually large."""
    errors = np.linalg.norm(_errors(viewpoints, seen), axis=-1)
    # Of a two-dimensional normal error, the median length is 1.1774 standard deviations.
    usual = np.median(errors[seen.trust > 0]) / 1.1774
    return seen.only(errors <= _OUTLIER * usual)
