# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where people are expected to be, and how well a detection fits there.

Each person has four coordinates: x and y of the body's middle in the image, the logarithm of the
size in the image and, with depth, the logarithm of the distance from the camera. When the camera
turns, they change only by a shift in x and y that all people share. Each coordinate has a Kalman
filter with white noise acceleration (Bar-Shalom, Li, Kirubarajan: Estimation with Applications to
Tracking and Navigation, 2001, section 6.2.2) and a decaying velocity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kp_pose_ros.poses import OBSERVED, Array, Bools, Poses

X, Y, SIZE, RANGE = range(4)
COORDINATES = 4

# In body units (x and y: torso lengths, about half a metre) and logarithms.
_NOISE = np.array((0.13, 0.16, 0.09, 0.05))  # standard deviations of a detection
_PROCESS_NOISE = np.array((3.0, 0.3, 0.1, 0.15))  # change of velocity, squared, per second
_VELOCITY_DECAY = 1.0  # seconds to 1/e of a velocity: people out of sight may stop or turn
_FIRST_VELOCITY = np.array((2.0, 0.5, 0.4, 0.4))  # per second
# The range of values among the people in an image: how likely a match by chance is.
_SIZE_SPAN = _RANGE_SPAN = 1.5
_ANYWHERE = 0.05  # probability that a person out of sight for _LONG may be anywhere
_LONG = 1.0  # seconds
_NEARER = 1.0  # standard deviations; a detection nearer by more than this may hide the person

_BODY = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
TORSO_OF_BOX = 0.3  # length of a torso in heights of the box, where keypoints do not show it


def coordinates(poses: Poses, positions: Array, keypoint_names: Sequence[str]) -> Array:
    """Return the coordinates of n people, (n, COORDINATES), NaN where unknown.

    Args:
        poses: n people in one image.
        positions: (n, 3) metres from the camera, NaN where unknown.
        keypoint_names: the skeleton's; without shoulders and hips, the boxes are used.
    """
    found = np.full((len(poses), COORDINATES), np.nan)
    boxes = poses.boxes.astype(np.float64)
    found[:, (X, Y)] = (boxes[:, :2] + boxes[:, 2:]) / 2
    height = np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    names = list(keypoint_names)
    if len(poses) and all(each in names for each in _BODY):
        indices = [names.index(each) for each in _BODY]
        points = poses.keypoints[:, indices, :2].astype(np.float64)
        seen = (poses.states[:, indices] == OBSERVED).all(axis=1)
        shoulders, hips = points[:, :2].mean(axis=1), points[:, 2:].mean(axis=1)
        found[seen, X], found[seen, Y] = ((shoulders + hips) / 2)[seen].T
        length = np.hypot(*(hips - shoulders).T)
        found[seen, SIZE] = np.log(np.maximum(length, 0.1 * height))[seen]
    else:
        found[:, SIZE] = np.log(TORSO_OF_BOX * height)
    distance = np.hypot(positions[:, 0], positions[:, 2])
    known = distance > 0
    found[known, RANGE] = np.log(distance[known])
    return found


@dataclass(slots=True)
class Filter:
    """One person's expected coordinates.

    Attributes:
        unit: length of the torso, pixels.
        unseen: seconds since the last detection.
    """

    unit: float
    unseen: float = 0.0
    mean: Array = field(default_factory=lambda: np.full((2, COORDINATES), np.nan))
    variance: Array = field(default_factory=lambda: np.zeros((3, COORDINATES)))

    def scale(self) -> Array:
        """Return the unit of each coordinate: pixels, pixels, 1 and 1."""
        return np.array((self.unit, self.unit, 1.0, 1.0))

    def predict(self, seconds: float) -> None:
        """Predict the coordinates at a later time."""
        self.unseen += seconds
        kept = math.exp(-seconds / _VELOCITY_DECAY)
        travel = _VELOCITY_DECAY * (1 - kept)
        self.mean[0] += travel * self.mean[1]
        self.mean[1] *= kept
        position, covariance, velocity = self.variance
        power = _PROCESS_NOISE * self.scale() ** 2
        position += 2 * travel * covariance + travel**2 * velocity + power * seconds**3 / 3
        covariance *= kept
        covariance += kept * travel * velocity + power * seconds**2 / 2
        velocity *= kept**2
        velocity += power * seconds

    def correct(self, measured: Array) -> None:
        """Update the filter with a detection's coordinates."""
        self.unseen = 0.0
        if np.isfinite(measured[SIZE]):
            self.unit = math.exp(measured[SIZE])
        scale = self.scale()
        noise = (_NOISE * scale) ** 2
        new = np.isnan(self.mean[0]) & np.isfinite(measured)
        self.mean[0, new], self.mean[1, new] = measured[new], 0
        first = (_FIRST_VELOCITY * scale) ** 2
        self.variance[:, new] = np.array((noise, 0 * noise, first))[:, new]
        used = np.isfinite(measured) & ~new
        error = np.where(used, measured - self.mean[0], 0)
        gains = np.where(used, self.variance[:2] / (self.variance[0] + noise), 0)
        self.mean += gains * error
        self.variance[2] -= gains[1] * self.variance[1]
        self.variance[:2] *= 1 - gains[0]

    def evidence(self, measured: Array, size: tuple[int, int]) -> Array:
        """Return how much likelier detections are as this person than by chance, (n,).

        Natural logarithms of likelihood ratios, over the coordinates that are known.

        Args:
            measured: (n, COORDINATES) of the detections.
            size: (height, width) of the image in pixels.
        """
        squared, variance = self._compare(measured)
        # People stand on a floor: they take up about half the image's height.
        spans = np.array((size[1], size[0] / 2, _SIZE_SPAN, _RANGE_SPAN))
        ratios = -0.5 * squared + np.log(spans / np.sqrt(2 * np.pi * variance))
        _drop_size(ratios)
        # A person in front of this one is at the same place in the image: there, x says nothing.
        hiding = self._may_hide(measured, variance)
        ratios[hiding, X] = np.minimum(ratios[hiding, X], 0)
        total = np.nansum(ratios, axis=1)
        anywhere = _ANYWHERE * min(1.0, self.unseen / _LONG) ** 2 + 1e-9
        return np.asarray(np.logaddexp(total, math.log(anywhere)))

    def _may_hide(self, measured: Array, variance: Array) -> Bools:
        """Return which detections are nearer than this person, and may hide it, (n,)."""
        nearer = (self.mean[0] - measured) / np.sqrt(variance)
        known = np.isfinite(nearer[:, RANGE])
        found: Bools = np.where(known, nearer[:, RANGE], -nearer[:, SIZE]) > _NEARER
        return found

    def squared_distance(self, measured: Array) -> float:
        """Return the squared Mahalanobis distance of a detection, over its known coordinates."""
        squared, _ = self._compare(measured)
        _drop_size(squared)
        return float(np.nansum(squared))

    def _compare(self, measured: Array) -> tuple[Array, Array]:
        """Return squared errors divided by variances, (..., COORDINATES), and the variances."""
        variance = self.variance[0] + (_NOISE * self.scale()) ** 2
        return (measured - self.mean[0]) ** 2 / variance, variance


def _drop_size(values: Array) -> None:
    """Drop the size from (..., COORDINATES) values, in place, where the distance is known.

    It says little more; if a person walks fast towards the camera, both are far from expected.
    """
    values[..., SIZE][np.isfinite(values[..., RANGE])] = np.nan
