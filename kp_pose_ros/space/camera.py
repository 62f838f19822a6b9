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

Array = npt.NDArray[np.float64]

# OpenCV and sensor_msgs/CameraInfo count from the centre of the first pixel, we from its corner.
_PIXEL_CENTER = 0.5
# Iterations at most, and the error in pixels at which to stop before.
_ENOUGH = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-4)
_SAME, _HERE = np.eye(3), np.zeros(3)


@dataclass(frozen=True, slots=True)
class _Distortion:
    """How one model bends rays.

    Attributes:
        counts: how many coefficients it may have.
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


# Names and coefficients are those of sensor_msgs/distortion_models.h: plumb_bob k1 k2 p1 p2 k3,
# rational_polynomial k1 k2 p1 p2 k3 k4 k5 k6, equidistant k1 k2 k3 k4.
_MODELS = {
    "": _Distortion((0,), _undistort_nothing, _project_brown),
    "plumb_bob": _Distortion((4, 5), _undistort_brown, _project_brown),
    "rational_polynomial": _Distortion((8,), _undistort_brown, _project_brown),
    "equidistant": _Distortion((4,), _undistort_fisheye, _project_fisheye),
}


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """What sensor_msgs/CameraInfo says of a camera whose pictures are not rectified.

    Points are in its optical frame: x right, y down, z forward, metres. Pixels are counted from
    the outer corner of the first one, as everywhere in this package.

    Attributes:
        size: (height, width) of the pictures, pixels.
        matrix: (3, 3), K: focal lengths and principal point, pixels.
        model: a name of sensor_msgs/distortion_models.h; empty: no distortion.
        coefficients: the model's, none or all zero: no distortion.

    Raises:
        CalibrationError: no camera can be like this, or the model is unknown.
    """

    size: tuple[int, int]
    matrix: Array
    model: str = ""
    coefficients: Array = field(default_factory=lambda: np.zeros(0))

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
        # Drivers of undistorted cameras fill in any name.
        if not coefficients.any():
            object.__setattr__(self, "model", "")
            coefficients = np.zeros(0)
        self._check_distortion(coefficients)
        object.__setattr__(self, "coefficients", coefficients)

    def _check_distortion(self, coefficients: Array) -> None:
        if self.model not in _MODELS:
            raise CalibrationError(
                f"camera_info has the distortion model '{self.model}': expected one of "
                f"{', '.join(filter(None, _MODELS))}; calibrate the camera for one of them"
            )
        counts = _MODELS[self.model].counts
        if len(coefficients) not in counts or not np.isfinite(coefficients).all():
            raise CalibrationError(
                f"camera_info has the distortion {coefficients.tolist()}: expected "
                f"{' or '.join(map(str, counts))} numbers for {self.model}; "
                "calibrate the camera"
            )

    def at_depth_one(self, pixels: npt.NDArray[np.floating]) -> Array:
        """Return where the viewing rays of (..., 2) pixels are when z is 1: (..., 2), x y."""
        points = np.ascontiguousarray(pixels, np.float64).reshape(-1, 1, 2) - _PIXEL_CENTER
        if not len(points):
            return np.zeros(pixels.shape)
        seen = _MODELS[self.model].undistort(points, self.matrix, self.coefficients)
        return np.asarray(seen, np.float64).reshape(pixels.shape)

    def rays(self, pixels: npt.NDArray[np.floating]) -> Array:
        """Return the unit vectors, (..., 3), along which (..., 2) pixels look, undistorted."""
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
