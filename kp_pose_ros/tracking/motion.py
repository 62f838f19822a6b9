# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where people and their keypoints will be: a batched Kalman filter.

Every person has p = 2 + k points: the box's centre, its size and the keypoints. Each point moves on
its own, with a position, a velocity and noise that is the same in x and y, so the covariance of a
point is a 2 x 2 matrix and the filter's equations are written out, for all points at once.

Velocities fade: that of the centre slowly (people keep walking), that of a keypoint soon to the
centre's (limbs swing about the body). Each is an Ornstein-Uhlenbeck process, integrated exactly
over the real time between two images (Johnson, London, Lea, Durban: Continuous-time correlated
random walk model for animal telemetry data, Ecology 89(5), 2008). Lengths are in spans, a span
being the longer side of the person's box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from kp_pose_ros.tracking.rows import Rows

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

CENTER, SIZE, FIRST_KEYPOINT = 0, 1, 2
LEAST_SIZE = 1.0  # pixels; a box has an area, also one that shrinks while nobody sees it

# Seconds in which a velocity fades to 1/e: of the centre, the size, a keypoint against the centre.
_FADES = (10.0, 0.5, 0.15)
# How much velocities change by chance, in spans / s / sqrt(s), of the same three.
_AGITATIONS = (0.8, 0.3, 2.0)
# Standard deviation of a new track's velocities, in spans / s.
_FIRST_VELOCITIES = (1.0, 0.2, 1.0)


@dataclass(slots=True)
class Motion(Rows):
    """The filter's state for n people.

    Attributes:
        position: (n, p, 2), pixels.
        velocity: (n, p, 2), pixels / s.
        covariance: (n, p, 3): variance of the position, covariance, variance of the velocity.
    """

    position: Array
    velocity: Array
    covariance: Array

    @property
    def spans(self) -> Array:
        """The (n,) spans of the people, pixels."""
        spans: Array = np.maximum(self.position[:, SIZE, 0], self.position[:, SIZE, 1])
        return spans

    @classmethod
    def begin(cls, measured: Array, deviation: Array, seen: Bools) -> Motion:
        """Return the state of people seen for the first time; arguments as for `correct`."""
        points = measured.shape[1]
        motion = cls(measured.copy(), np.zeros_like(measured), np.zeros((*deviation.shape, 3)))
        spans = motion.spans[:, None]
        motion.covariance[..., 0] = deviation**2
        # The model's guess of a hidden keypoint lies somewhere on the person.
        guessed = np.where(seen, motion.covariance[:, FIRST_KEYPOINT:, 0], spans**2)
        motion.covariance[:, FIRST_KEYPOINT:, 0] = guessed
        motion.covariance[..., 2] = (np.array(_FIRST_VELOCITIES)[_kinds_of(points)] * spans) ** 2
        return motion

    def predict(self, seconds: float) -> None:
        """Move everybody on in time."""
        kinds = [_step(seconds, *kind) for kind in zip(_FADES, _AGITATIONS, strict=True)]
        step = np.array(kinds).T[:, _kinds_of(self.position.shape[1])]
        kept, travel, noise_p, noise_c, noise_v = step

        carrier = self.velocity[:, CENTER, None].copy()
        own = self.velocity
        own[:, FIRST_KEYPOINT:] -= carrier
        self.position += own * travel[:, None]
        self.position[:, FIRST_KEYPOINT:] += carrier * seconds
        own *= kept[:, None]
        own[:, FIRST_KEYPOINT:] += carrier

        np.maximum(self.position[:, SIZE], LEAST_SIZE, out=self.position[:, SIZE])

        var_p, cov, var_v = (self.covariance[..., part] for part in range(3))
        power = self.spans[:, None] ** 2
        after = np.empty_like(self.covariance)
        after[..., 0] = var_p + 2 * travel * cov + travel**2 * var_v + power * noise_p
        after[..., 1] = kept * (cov + travel * var_v) + power * noise_c
        after[..., 2] = kept**2 * var_v + power * noise_v
        self.covariance = after

    def shift(self, way: Array) -> None:
        """Move everybody by (2,) pixels, as when the camera turns."""
        self.position[:, CENTER] += way
        self.position[:, FIRST_KEYPOINT:] += way

    def correct(self, rows: Indices, measured: Array, deviation: Array, seen: Bools) -> None:
        """Take in what an image shows of some of the people.

        Args:
            rows: (m,) their indices.
            measured: (m, p, 2) positions, pixels.
            deviation: (m, p) standard deviations, pixels.
            seen: (m, k), which keypoints count; box centre and size always do.
        """
        covariance = self.covariance[rows]
        gains = covariance[..., :2] / (covariance[..., :1] + deviation[..., None] ** 2)
        gains[:, FIRST_KEYPOINT:] *= seen[..., None]
        error = measured - self.position[rows]
        self.position[rows] += gains[..., :1] * error
        self.velocity[rows] += gains[..., 1:] * error
        covariance[..., 2] -= gains[..., 1] * covariance[..., 1]
        covariance[..., :2] *= 1 - gains[..., :1]
        self.covariance[rows] = covariance


def _step(
    seconds: float, fade: float, agitation: float
) -> tuple[float, float, float, float, float]:
    """Return what some time does to a point of one kind.

    These are what is left of a velocity, the way that a velocity of 1 leads to, and the variance of
    the position, the covariance and the variance of the velocity that chance adds if the span is 1.
    """
    kept = math.exp(-seconds / fade)
    travel = fade * (1 - kept)
    noise_v = fade * (1 - kept**2) / 2
    noise_p = fade**2 * (seconds - 2 * travel + noise_v)
    power = agitation**2
    return kept, travel, power * noise_p, power * travel**2 / 2, power * noise_v


@cache
def _kinds_of(points: int) -> Indices:
    """Return which of three kinds each of (p,) points is: the centre, the size, a keypoint."""
    return np.minimum(np.arange(points), FIRST_KEYPOINT)
