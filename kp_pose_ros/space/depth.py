# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The distances of keypoints, from a depth image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import FrameError
from kp_pose_ros.poses import Array, Floats

# Encodings of depth images (REP 118): array type and metres for a value of 1.
ENCODINGS: dict[str, tuple[np.dtype[Any], float]] = {
    "16UC1": (np.dtype(np.uint16), 0.001),
    "mono16": (np.dtype(np.uint16), 0.001),
    "32FC1": (np.dtype(np.float32), 1.0),
}

_RANGE = (0.1, 50.0)  # metres; no camera measures nearer or farther
_REACH = 0.02  # of the samples around a keypoint, in spans: half a forearm's thickness
_STEPS = np.array((-1, -0.6, 0, 0.45, 1))  # uneven, since holes may come in rows and columns
_LEAST_KNOWN = 9  # of 25; with fewer, the limb itself may be a hole
_LEAST_HITS = 4  # of 25 make a surface; fewer may be a mixture of limb and background
_MOST_STRAYS = 1  # samples nearer than the surface; more may be a limb that is mostly a hole
# How far apart, in metres, depths of one surface may be: a share of the depth, for its slope, and
# a share of its square, for the noise, which in stereo cameras grows with the square.
_SLOPE, _NOISE = 0.02, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class DepthImage:
    """Distances along the optical axis, for the picture of a colour camera.

    Attributes:
        values: (h, w) uint16 or float32 as the camera sent them; 0, NaN and infinity: not measured.
            It is registered to the picture, but may have another size.
        encoding: a key of `ENCODINGS`.

    Raises:
        FrameError: the encoding is not one of depth, or the array contradicts it.
    """

    values: npt.NDArray[np.uint16] | Floats
    encoding: str

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise FrameError(
                f"a depth image has the encoding '{self.encoding}': expected one of "
                f"{', '.join(ENCODINGS)}"
            )
        dtype, _ = ENCODINGS[self.encoding]
        found = self.values.dtype.newbyteorder("=")
        if self.values.ndim != 2 or 0 in self.values.shape or found != dtype:
            raise FrameError(
                f"an array of shape {self.values.shape} and type {self.values.dtype} is not a "
                f"'{self.encoding}' depth image: expected (height, width) of {dtype}"
            )

    def at(self, pixels: Array, spans: Array, picture_size: tuple[int, int]) -> Array:
        """Return the depths, (n, k) metres, of keypoints; NaN where none is known.

        25 pixels around each keypoint are sampled. The limb is the nearest surface that enough of
        them share, and the result is their median. Holes, the background beside a limb, and the
        mixture of both at its edge do not count.

        Args:
            pixels: (n, k, 2) in the picture.
            spans: (n,) longer sides of the people's boxes, pixels of the picture.
            picture_size: (height, width) of the picture.
        """
        size = np.array(self.values.shape[::-1])  # in the order x, y
        scale = size / picture_size[::-1]
        reach = np.maximum(_REACH * spans[:, None] * scale, 2.0)  # so that the pixels differ
        looks = (pixels * scale)[..., None] + reach[:, None, :, None] * _STEPS
        inside = (looks >= 0) & (looks < size[:, None])
        # NaN and huge numbers do not convert to integers.
        indices = np.where(inside, looks, 0).astype(np.intp)
        columns, rows = indices[..., 0, None, :], indices[..., 1, :, None]
        depths = self.values[rows, columns].astype(np.float32)
        depths *= ENCODINGS[self.encoding][1]
        known = inside[..., 0, None, :] & inside[..., 1, :, None]
        known &= (depths >= _RANGE[0]) & (depths <= _RANGE[1])
        np.putmask(depths, ~known, np.inf)
        return _nearest_surface(depths.reshape(-1, len(_STEPS) ** 2)).reshape(pixels.shape[:2])


def _nearest_surface(depths: Floats) -> Array:
    """Return the (m,) nearest surfaces among (m, looks) depths; infinite ones are unknown."""
    ordered = np.sort(depths, axis=-1)
    near = ordered[:, : _MOST_STRAYS + 1]
    reach = near + _thickness(near)
    is_surface = ordered[:, _LEAST_HITS - 1 : _LEAST_HITS + _MOST_STRAYS] <= reach
    rows, first = np.arange(len(ordered)), is_surface.argmax(axis=-1)
    behind = (ordered <= reach[rows, first, None]).sum(axis=-1)  # where the surface ends
    depth = ordered[rows, (first + behind) // 2]
    known = is_surface[rows, first] & np.isfinite(ordered[:, _LEAST_KNOWN - 1])
    return np.where(known, depth, np.nan).astype(np.float64)


def _thickness(depth: Floats) -> Floats:
    return _SLOPE * depth + _NOISE * depth * depth
