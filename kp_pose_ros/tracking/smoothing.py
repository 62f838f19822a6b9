# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Smoothing of keypoints: the One-Euro filter, for all people and keypoints at once.

A low-pass filter whose cutoff rises with speed: slow movements are smoothed, fast ones are not
delayed (Casiez, Roussel, Vogel: 1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input
in Interactive Systems, CHI 2012). Here the speed is that of the point, not of x and y separately,
and is measured in spans (the longer side of the person's box), so that the distance to the camera
does not matter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import Array

NEVER = -(2**62)  # nanoseconds; its difference to any stamp still fits into 64 bits
Stamps = npt.NDArray[np.int64]  # nanoseconds

_STILL_CUTOFF = 0.35  # Hz, of a point at rest
_REST_SPEED = 0.15  # spans / s; slower points, such as those moved by a model's noise, are at rest
_CUTOFF_PER_SPEED = 60.0  # Hz per span / s above that
_SHORTEST = 1e-3  # seconds; two images with the same stamp have no speed
_SPEED_CUTOFF = 1.3  # Hz, of the low-pass filter of the speed itself


def smooth(
    state: Array,
    stamps: Stamps,
    measured: Array,
    weights: Array,
    *,
    stamp: int,
    spans: Array,
    strength: float,
) -> tuple[Array, Stamps]:
    """Return the next state and stamps of the filter; the arguments are not modified.

    Args:
        state: (n, k, 4) smoothed positions of keypoints (pixels) and velocities (pixels / s).
        stamps: (n, k) when each keypoint was last filtered, nanoseconds; NEVER: it starts over.
        measured: (n, k, 2) positions, pixels.
        weights: (n, k), how much to trust each keypoint, from 0 (not at all) to 1 (fully). Those of
            weight 0 are returned unchanged, and start over when they are trusted again.
        stamp: when the image was taken, nanoseconds.
        spans: (n,) of the people, pixels.
        strength: above 0; divides the cutoff: higher values are steadier and lag more.
    """
    fresh = ((stamps == NEVER) | (weights == 0))[..., None]
    value: Array = np.where(fresh, measured, state[..., :2])
    velocity: Array = np.where(fresh, 0.0, state[..., 2:])
    seconds = ((stamp - stamps) * 1e-9)[..., None]
    change = measured - value
    velocity += _share(_SPEED_CUTOFF, seconds) * (
        change / np.maximum(seconds, _SHORTEST) - velocity
    )
    speed = np.hypot(velocity[..., :1], velocity[..., 1:]) / spans[:, None, None]
    moving = np.maximum(speed - _REST_SPEED, 0)
    cutoff = (_STILL_CUTOFF + _CUTOFF_PER_SPEED * moving) * weights[..., None] / strength
    value += _share(cutoff, seconds) * change
    return np.concatenate((value, velocity), axis=-1), np.where(weights > 0, stamp, NEVER)


def _share(cutoff: Array | float, seconds: npt.NDArray[np.floating]) -> Array:
    """Return the weight of a new value in a first-order low-pass filter with a cutoff in Hz."""
    angle = 2 * np.pi * cutoff * seconds
    return angle / (1 + angle)
