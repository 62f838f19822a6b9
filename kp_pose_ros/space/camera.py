# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's geometry: pixel -> viewing ray and back, for the distortion models of ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import Array

# OpenCV and sensor_msgs/CameraInfo count from the centre of the first pixel, this package from its
# corner.
_PIXEL_CENTER = 0.5
_SAME, _HERE = np.eye(3), np.zeros(3)
_MOST_STEPS, _ENOUGH = 10, 1e-4  # of the search for a ray, and the error in pixels that ends it
_CLOSES = 0.5  # pixels; greatest distance between a pixel and the projection of its ray
# Of the longer side. With less, a lens would show 178 degrees without bending a ray; it is what
# drivers publish that have no calibration, such as an identity matrix.
_LEAST_FOCAL_LENGTH = 0.01
# Rays to check a lens's model with: radians from the axis (the widest is 1000 at depth 1), and
# directions around it.
_ANGLES = np.linspace(0, np.arctan(1e3), 2000)
_AROUND = np.linspace(0, 2 * np.pi, 8, endpoint=False)


def _project_brown(points: Array, matrix: Array, coefficients: Array) -> tuple[Any, Any]:
    pixels, slopes = cv2.projectPoints(points, _HERE, _HERE, matrix, coefficients)
    return pixels, slopes[:, 3:5].reshape(-1, 2, 2)  # moving the camera is moving the points


def _project_fisheye(points: Array, matrix: Array, coefficients: Array) -> tuple[Any, Any]:
    return cv2.fisheye.projectPoints(points, _HERE, _HERE, matrix, coefficients)[0], None


@dataclass(frozen=True, slots=True)
class _Distortion:
    """How one model bends rays.

    Attributes:
        counts: numbers of coefficients that OpenCV takes; zeros may follow them.
        project: (m, 1, 3) points, matrix, coefficients -> (m, 1, 2) pixels, and their derivatives
            by the points' x and y, (m, 2, 2); None if rays are only bent to or from the axis.
    """

    counts: tuple[int, ...]
    project: Callable[[Array, Array, Array], tuple[Any, Any]]


# Names are those of sensor_msgs/distortion_models.h. OpenCV reads k1 k2 p1 p2, then k3, k4 k5 k6,
# s1 s2 s3 s4 and tau_x tau_y where given; some drivers give more than the model's name implies.
_BROWN = _Distortion((4, 5, 8, 12, 14), _project_brown)
_MODELS = {
    "": _Distortion((0,), _project_brown),
    "plumb_bob": _BROWN,
    "rational_polynomial": _BROWN,
    "equidistant": _Distortion((4,), _project_fisheye),
}


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """The sensor_msgs/CameraInfo of a camera whose pictures are not rectified.

    Points are in its optical frame: x right, y down, z forward, metres. Pixels are counted from
    the outer corner of the first one, as everywhere in this package.

    Attributes:
        size: (height, width) of the pictures, pixels.
        matrix: (3, 3), K: focal lengths and principal point, pixels.
        model: a name of sensor_msgs/distortion_models.h; empty: no distortion.
        coefficients: the model's; none, or all zero: no distortion.

    Raises:
        CalibrationError: the values are impossible for a camera, or the model is unknown.
    """

    size: tuple[int, int]
    matrix: Array
    model: str = ""
    coefficients: Array = field(default_factory=lambda: np.zeros(0))
    # Angles from the axis, rising, and the radius at depth 1 at which each appears on average.
    _angles: Array = field(init=False, repr=False)
    _radii: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64).reshape(-1)
        least = _LEAST_FOCAL_LENGTH * max(self.size)
        if len(matrix) != 9 or not np.isfinite(matrix).all() or min(matrix[0], matrix[4]) <= least:
            raise CalibrationError(
                f"camera_info has the matrix K {matrix.tolist()}: expected 9 numbers with focal "
                f"lengths above {least:g}; calibrate the camera"
            )
        if min(self.size) <= 0:
            height, width = self.size
            raise CalibrationError(
                f"camera_info has the size {width} x {height}: expected that of the pictures; have "
                "its driver fill it in"
            )
        object.__setattr__(self, "matrix", matrix.reshape(3, 3))
        coefficients = np.array(self.coefficients, np.float64)
        # Drivers of cameras without distortion fill in arbitrary names.
        if not coefficients.any():
            object.__setattr__(self, "model", "")
            coefficients = np.zeros(0)
        object.__setattr__(self, "coefficients", self._as_opencv_takes(coefficients))
        if self.model:
            self._measure_bending()

    def _as_opencv_takes(self, coefficients: Array) -> Array:
        """Return the coefficients, checked, without trailing zeros that mean nothing."""
        if self.model not in _MODELS or (len(coefficients) and not self.model):
            raise CalibrationError(
                f"camera_info has the distortion model '{self.model}': expected one of "
                f"{', '.join(filter(None, _MODELS))}; calibrate the camera for one of them"
            )
        counts = _MODELS[self.model].counts
        used = len(np.trim_zeros(coefficients, "b"))
        count = next((each for each in counts if each >= used), None)
        if len(coefficients) < counts[0] or count is None or not np.isfinite(coefficients).all():
            raise CalibrationError(
                f"camera_info has the distortion {coefficients.tolist()}: expected "
                f"{' or '.join(map(str, counts))} numbers for {self.model}; "
                "calibrate the camera"
            )
        return np.append(coefficients, np.zeros(count))[:count]

    def at_depth_one(self, pixels: npt.NDArray[np.floating]) -> Array:
        """Return where the viewing rays of (..., 2) pixels meet the plane z = 1: x y, (..., 2).

        NaN for pixels that no ray in front of the camera reaches by the lens's calibration.
        """
        wanted = np.asarray(pixels, np.float64).reshape(-1, 2) - _PIXEL_CENTER
        if not len(wanted):
            return np.zeros(pixels.shape)
        plane: Array = (wanted - self.matrix[:2, 2]) / self.matrix[[0, 1], [0, 1]]
        if self.model:
            with np.errstate(all="ignore"):  # beyond the image circle, numbers may overflow
                radii = np.linalg.norm(plane, axis=-1, keepdims=True)
                angles = np.interp(radii, self._radii, self._angles)
                plane *= np.tan(angles) / np.maximum(radii, np.finfo(np.float64).tiny)
                plane = self._search(plane, wanted)
        return plane.reshape(pixels.shape)

    def _search(self, plane: Array, wanted: Array) -> Array:
        """Return the (m, 2) points at depth 1 that appear at (m, 2) pixels, NaN for none.

        Newton's method, from points nearby: where lenses bend much, OpenCV's undistortPoints does
        not converge, and its fisheye's cuts off what appears beyond 90 degrees.
        """
        found, slopes = self._project(plane)
        for _ in range(_MOST_STEPS):
            error = found - wanted
            if slopes is None or not (np.abs(error) > _ENOUGH).any():
                break
            (a, b), (c, d) = np.moveaxis(slopes, 0, -1)
            x, y = error.T
            plane = (
                plane - np.stack((d * x - b * y, a * y - c * x), axis=-1) / (a * d - b * c)[:, None]
            )
            found, slopes = self._project(plane)
        # Beyond the image circle a model has no inverse; beyond its last angle, a wrong one.
        known = np.linalg.norm(plane, axis=-1) <= np.tan(self._angles[-1])
        known &= np.abs(found - wanted).max(axis=-1) < _CLOSES
        return np.where(known[:, None], plane, np.nan)

    def _project(self, plane: Array, matrix: Array | None = None) -> tuple[Array, Array | None]:
        """Return where (m, 2) points at depth 1 appear, (m, 2), and derivatives (m, 2, 2)."""
        points = np.column_stack((plane, np.ones(len(plane))))[:, None]
        matrix = self.matrix if matrix is None else matrix
        pixels, slopes = _MODELS[self.model].project(points, matrix, self.coefficients)
        return np.reshape(pixels, (-1, 2)), slopes

    def _measure_bending(self) -> None:
        """Find how far from the centre rays appear, up to where wider ones appear further inside.

        There the model's polynomial turns back towards the centre, as no lens does.
        """
        around = np.stack((np.cos(_AROUND), np.sin(_AROUND)), axis=-1)
        rays = (around[:, None] * np.tan(_ANGLES)[:, None]).reshape(-1, 2)
        with np.errstate(all="ignore"):
            seen, _ = self._project(rays, _SAME)
            radii = np.linalg.norm(seen, axis=-1).reshape(len(_AROUND), -1)
            rising = (np.diff(radii, axis=1) > 0).all(axis=0)
        count = len(_ANGLES) if rising.all() else int(np.argmin(rising)) + 1
        object.__setattr__(self, "_angles", _ANGLES[:count])
        object.__setattr__(self, "_radii", radii[:, :count].mean(axis=0))

    def rays(self, pixels: npt.NDArray[np.floating]) -> Array:
        """Return the undistorted viewing rays of (..., 2) pixels as unit vectors, (..., 3).

        NaN where `at_depth_one` is NaN.
        """
        plane = self.at_depth_one(pixels)
        rays: Array = np.concatenate((plane, np.ones_like(plane[..., :1])), axis=-1)
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        return rays

    def project(self, points: npt.NDArray[np.floating]) -> Array:
        """Return the pixels, (..., 2), at which (..., 3) points in front of the camera appear."""
        flat = np.ascontiguousarray(points, np.float64).reshape(-1, 1, 3)
        if not len(flat):
            return np.zeros((*points.shape[:-1], 2))
        pixels, _ = _MODELS[self.model].project(flat, self.matrix, self.coefficients)
        return np.reshape(pixels, (*points.shape[:-1], 2)) + _PIXEL_CENTER
