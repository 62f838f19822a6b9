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
# Maximum number of iterations, and the error in pixels at which to stop earlier.
_ENOUGH = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-4)
_SAME, _HERE = np.eye(3), np.zeros(3)
_CLOSES = 0.5  # pixels; greatest distance between a pixel and the projection of its ray
# Rays to check a lens's model with: radians from the axis (the widest is 1000 at depth 1), and
# directions around it.
_ANGLES = np.linspace(0, np.arctan(1e3), 2000)
_AROUND = np.linspace(0, 2 * np.pi, 8, endpoint=False)


@dataclass(frozen=True, slots=True)
class _Distortion:
    """How one model bends rays.

    Attributes:
        counts: numbers of coefficients that OpenCV takes; zeros may follow them.
        undistort: (m, 1, 2) pixels, matrix, coefficients -> (m, 1, 2) points at depth 1.
        project: (m, 1, 3) points, matrix, coefficients -> (m, 1, 2) pixels.
    """

    counts: tuple[int, ...]
    undistort: Callable[[Array, Array, Array], Any]
    project: Callable[[Array, Array, Array], Any]


def _undistort_nothing(pixels: Array, matrix: Array, _: Array) -> Any:
    return (pixels - matrix[:2, 2]) / matrix[[0, 1], [0, 1]]


def _undistort_brown(pixels: Array, matrix: Array, coefficients: Array) -> Any:
    return cv2.undistortPointsIter(pixels, matrix, coefficients, _SAME, _SAME, _ENOUGH)


def _project_brown(points: Array, matrix: Array, coefficients: Array) -> Any:
    return cv2.projectPoints(points, _HERE, _HERE, matrix, coefficients)[0]


def _undistort_fisheye(pixels: Array, matrix: Array, coefficients: Array) -> Any:
    return cv2.fisheye.undistortPoints(pixels, matrix, coefficients)


def _project_fisheye(points: Array, matrix: Array, coefficients: Array) -> Any:
    return cv2.fisheye.projectPoints(points, _HERE, _HERE, matrix, coefficients)[0]


# Names are those of sensor_msgs/distortion_models.h. OpenCV reads k1 k2 p1 p2, then k3, k4 k5 k6,
# s1 s2 s3 s4 and tau_x tau_y where given; some drivers give more than the model's name implies.
_BROWN = _Distortion((4, 5, 8, 12, 14), _undistort_brown, _project_brown)
_MODELS = {
    "": _Distortion((0,), _undistort_nothing, _project_brown),
    "plumb_bob": _BROWN,
    "rational_polynomial": _BROWN,
    "equidistant": _Distortion((4,), _undistort_fisheye, _project_fisheye),
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
    _fold: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64).reshape(-1)
        if len(matrix) != 9 or not np.isfinite(matrix).all() or min(matrix[0], matrix[4]) <= 0:
            raise CalibrationError(
                f"camera_info has the matrix K {matrix.tolist()}: expected 9 numbers with focal "
                "lengths above 0; calibrate the camera"
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
        object.__setattr__(self, "_fold", self._find_fold())

    def _as_opencv_takes(self, coefficients: Array) -> Array:
        """Return the coefficients, checked, without trailing zeros that mean nothing."""
        if self.model not in _MODELS:
            raise CalibrationError(
                f"camera_info has the distortion model '{self.model}': expected one of "
                f"{', '.join(filter(None, _MODELS))}; calibrate the camera for one of them"
            )
        counts = _MODELS[self.model].counts
        told = len(np.trim_zeros(coefficients, "b"))
        count = next((each for each in counts if each >= told), None)
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
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2) - _PIXEL_CENTER
        if not len(points):
            return np.zeros(pixels.shape)
        with np.errstate(invalid="ignore", over="ignore"):
            seen = _MODELS[self.model].undistort(points, self.matrix, self.coefficients)
            plane = np.asarray(seen, np.float64).reshape(-1, 2)
            if self.model:
                plane[~self._leads_back(plane, points[:, 0])] = np.nan
        return plane.reshape(pixels.shape)

    def _leads_back(self, plane: Array, pixels: Array) -> npt.NDArray[np.bool_]:
        """Return which of (m, 2) points at depth 1 the lens's model projects to (m, 2) pixels.

        Beyond the image circle a model has no inverse, and OpenCV returns arbitrary points.
        """
        known: npt.NDArray[np.bool_] = np.hypot(plane[:, 0], plane[:, 1]) <= self._fold
        points = np.column_stack((plane, np.ones(len(plane))))
        points[~known] = 0, 0, 1
        back = _MODELS[self.model].project(points[:, None], self.matrix, self.coefficients)
        known &= np.abs(np.reshape(back, (-1, 2)) - pixels).max(axis=-1) < _CLOSES
        return known

    def _find_fold(self) -> float:
        """Return the radius at depth 1 up to which wider rays appear further from the centre.

        Beyond it the model's polynomial turns back towards the centre, as no lens does.
        """
        out = np.tan(_ANGLES)
        around = np.stack((np.cos(_AROUND), np.sin(_AROUND)), axis=-1)
        rays = np.concatenate((around[:, None] * out[:, None], np.ones((8, len(out), 1))), axis=-1)
        flat = rays.reshape(-1, 1, 3)
        pixels = _MODELS[self.model].project(flat, self.matrix, self.coefficients)
        radii = np.linalg.norm(np.reshape(pixels, (8, -1, 2)) - self.matrix[:2, 2], axis=-1)
        with np.errstate(invalid="ignore"):
            rising = (np.diff(radii, axis=1) > 0).all(axis=0)
        return float(out[-1] if rising.all() else out[np.argmin(rising)])

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
        pixels = _MODELS[self.model].project(flat, self.matrix, self.coefficients)
        return np.reshape(pixels, (*points.shape[:-1], 2)) + _PIXEL_CENTER
