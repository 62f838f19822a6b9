# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Prediction of people and their keypoints: a batched Kalman filter.

The state of n people is an (n, 7, p) array for p = 2 + k points: the box's centre, its size and the
keypoints. Each point moves independently, with the same noise in x and y, and has seven numbers:

    x, y (pixels), their velocities (pixels / s),
    variance of the position, covariance, variance of the velocity (of x and y alike).

Velocities decay: that of the centre slowly (people keep walking), that of a keypoint quickly to the
centre's (limbs swing about the body). Each is an Ornstein-Uhlenbeck process, integrated exactly
over the real time between two images (Johnson, London, Lea, Durban: Continuous-time correlated
random walk model for animal telemetry data, Ecology 89(5), 2008). Lengths are in spans, a span
being the longer side of the person's box.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kp_pose_ros.poses import Array, Bools, Indices

NUMBERS = 7  # per point
POSITION, VELOCITY, MEAN = slice(0, 2), slice(2, 4), slice(0, 4)
VARIANCE, COVARIANCE, VELOCITY_VARIANCE = 4, 5, 6
_VELOCITY_TWICE = np.array((2, 3, 2, 3))
CENTER, SIZE, FIRST_KEYPOINT = 0, 1, 2  # points
KEYPOINTS = slice(FIRST_KEYPOINT, None)
LEAST_SIZE = 1.0  # pixels; a predicted box keeps an area while it shrinks unseen

# Seconds in which a velocity decays to 1/e: of the centre, the size, a keypoint against the centre.
_FADES = (10.0, 0.5, 0.15)
# Random change of velocities, in spans / s / sqrt(s), of the same three.
_AGITATIONS = (0.8, 0.3, 2.0)
# Standard deviation of a new track's velocities, in spans / s, of the same three.
_FIRST_VELOCITIES = np.array((1.0, 0.2, 1.0))
_TICK = 1e-4  # seconds, to which steps are rounded: steps of one length are calculated once


def spans_of(states: Array) -> Array:
    """Return the (n,) spans of people, pixels."""
    spans: Array = np.maximum(states[:, 0, SIZE], states[:, 1, SIZE])
    return spans


def begin(measured: Array, variance: Array, seen: Bools) -> Array:
    """Return the states of people detected for the first time; arguments as for `correct`."""
    people, points = variance.shape
    states = np.zeros((people, NUMBERS, points))
    states[:, POSITION] = measured
    states[:, VARIANCE] = variance
    squares = spans_of(states)[:, None] ** 2
    # The model's guess of a hidden keypoint is somewhere on the person.
    known = states[:, VARIANCE, KEYPOINTS]
    states[:, VARIANCE, KEYPOINTS] = np.where(seen, known, squares)
    states[:, VELOCITY_VARIANCE] = _FIRST_VELOCITIES[_kinds(points)] ** 2 * squares
    return states


def predict(states: Array, seconds: float) -> None:
    """Predict all people to a later time, in place."""
    step = _step(round(seconds / _TICK), states.shape[2])
    before = states.copy()
    states *= step.kept
    position, mean = states[:, POSITION], states[:, MEAN]
    uncertainty, variance = states[:, VARIANCE:VELOCITY_VARIANCE], states[:, VARIANCE]
    position += before[:, VELOCITY] * step.travel
    mean += before[:, _VELOCITY_TWICE, :1] * step.carried
    uncertainty += before[:, COVARIANCE:] * step.spreading
    variance += before[:, VELOCITY_VARIANCE] * step.spreading_twice
    size = position[..., SIZE]
    np.maximum(size, LEAST_SIZE, out=size)
    noise = states[:, VARIANCE:]
    noise += (spans_of(states) ** 2)[:, None, None] * step.noise


def shift(states: Array, way: Array) -> None:
    """Shift all people by (2,) pixels, in place, as when the camera turns."""
    states[:, POSITION, CENTER] += way
    states[:, POSITION, KEYPOINTS] += way[:, None]


def correct(
    states: Array, rows: Indices | slice, measured: Array, variance: Array, seen: Bools
) -> None:
    """Update the states of some of the people, in place, with detections.

    Args:
        states: (n, 7, p).
        rows: which m of them.
        measured: (m, 2, p) positions, pixels.
        variance: (m, p) of the measured positions, square pixels.
        seen: (m, k), which keypoints to use; box centre and size are always used.
    """
    chosen = states[rows]
    mean, uncertainty = chosen[:, MEAN], chosen[:, VARIANCE:VELOCITY_VARIANCE]
    gains = uncertainty / (chosen[:, VARIANCE] + variance)[:, None]
    of_keypoints = gains[:, :, KEYPOINTS]
    of_keypoints *= seen[:, None]
    error = measured - chosen[:, POSITION]
    mean += (gains[:, :, None] * error[:, None]).reshape(mean.shape)
    velocity_variance = chosen[:, VELOCITY_VARIANCE]
    velocity_variance -= gains[:, 1] * chosen[:, COVARIANCE]
    uncertainty *= 1 - gains[:, :1]
    if not isinstance(rows, slice):  # of a slice, `chosen` is a view
        states[rows] = chosen


@dataclass(frozen=True, slots=True)
class _Step:
    """The effect of a time step on p points."""

    kept: Array  # (7, p), factors for each of a point's numbers
    travel: Array  # (p,), the distance covered by a velocity of 1
    # (2, p), the share of the covariance that adds to the variance of the position, and the share
    # of the variance of the velocity that adds to the covariance
    spreading: Array
    spreading_twice: Array  # (p,), the share of the velocity's variance that adds to the position's
    # (4, p), the share of the centre's velocity that adds to each number of the mean
    carried: Array
    # (3, p), process noise, for a span of 1, of variance, covariance and variance of the velocity
    noise: Array


@lru_cache(maxsize=256)
def _step(ticks: int, points: int) -> _Step:
    seconds = ticks * _TICK
    kinds = [_ornstein_uhlenbeck(seconds, *of) for of in zip(_FADES, _AGITATIONS, strict=True)]
    kept, travel, *noise = np.array(kinds).T[:, _kinds(points)]
    one = np.ones(points)
    carried = np.repeat((seconds - travel, 1 - kept), 2, axis=0)
    carried[:, :FIRST_KEYPOINT] = 0
    return _Step(
        kept=np.array((one, one, kept, kept, one, kept, kept**2)),
        travel=travel,
        spreading=np.array((2 * travel, kept * travel)),
        spreading_twice=travel**2,
        carried=carried,
        noise=np.array(noise),
    )


def _ornstein_uhlenbeck(seconds: float, fade: float, agitation: float) -> tuple[float, ...]:
    """Return the effect of a time step on a point of one kind.

    These are the remaining share of a velocity, the distance covered by a velocity of 1, and the
    process noise, for a span of 1, of the variance of the position, the covariance and the variance
    of the velocity.
    """
    kept = math.exp(-seconds / fade)
    travel = fade * (1 - kept)
    noise_v = fade * (1 - kept**2) / 2
    noise_p = fade**2 * (seconds - 2 * travel + noise_v)
    power = agitation**2
    return kept, travel, power * noise_p, power * travel**2 / 2, power * noise_v


def _kinds(points: int) -> Indices:
    """Return the kind of each of (p,) points: 0 the centre, 1 the size, 2 a keypoint."""
    return np.minimum(np.arange(points), FIRST_KEYPOINT)
