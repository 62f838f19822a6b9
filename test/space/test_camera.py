# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.space.camera import CameraModel

K = np.array((600.0, 0, 330, 0, 610, 250, 0, 0, 1))
SIZE = (480, 640)

# Real lenses: a webcam, a wide industrial lens (Azure Kinect's colour camera has such numbers), a
# fisheye of 150 degrees.
LENSES = [
    pytest.param(K, "plumb_bob", (-0.28, 0.09, 0.001, -0.0005, -0.012), id="plumb_bob"),
    pytest.param(
        K,
        "rational_polynomial",
        (0.45, -2.6, 0.0007, -0.0002, 1.5, 0.33, -2.43, 1.43),
        id="rational_polynomial",
    ),
    pytest.param(
        np.array((285.0, 0, 320, 0, 286, 240, 0, 0, 1)),
        "equidistant",
        (-0.01, 0.05, -0.045, 0.008),
        id="equidistant",
    ),
    pytest.param(K, "", (), id="no distortion"),
]


def grid() -> np.ndarray:
    """Return pixels all over the picture, (8, 6, 2)."""
    return np.stack(np.meshgrid(np.linspace(5, 635, 8), np.linspace(5, 475, 6), indexing="ij"), -1)


@pytest.mark.parametrize(("matrix", "model", "coefficients"), LENSES)
def test_a_pixel_comes_back_from_any_depth(matrix, model, coefficients):
    camera = CameraModel(SIZE, matrix, model, np.array(coefficients))
    rays = camera.rays(grid())
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)
    for distance in (0.5, 7.0):
        np.testing.assert_allclose(camera.project(rays * distance), grid(), atol=0.01)


@pytest.mark.parametrize(("matrix", "model", "coefficients"), LENSES)
def test_a_point_in_space_comes_back_from_its_pixel(matrix, model, coefficients):
    camera = CameraModel(SIZE, matrix, model, np.array(coefficients))
    points = np.random.default_rng(0).uniform((-0.9, -0.7, 2), (0.9, 0.7, 5), (50, 3))
    plane = camera.at_depth_one(camera.project(points))
    np.testing.assert_allclose(plane, points[:, :2] / points[:, 2:], atol=1e-5)


def distort_by_hand(point, model, d):
    """Return (x, y) at depth 1 bent as sensor_msgs/distortion_models.h and its sources define."""
    x, y = point
    r2 = x * x + y * y
    if model == "equidistant":
        theta = np.arctan(np.sqrt(r2))
        bent = theta * (1 + sum(k * theta ** (2 * i + 2) for i, k in enumerate(d)))
        return np.array(point) * bent / np.sqrt(r2)
    k1, k2, p1, p2, k3, *rest = d
    k4, k5, k6 = rest or (0, 0, 0)
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return np.array(
        (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )
    )


@pytest.mark.parametrize(("matrix", "model", "coefficients"), LENSES[:3])
def test_the_models_are_those_of_ros(matrix, model, coefficients):
    camera = CameraModel(SIZE, matrix, model, np.array(coefficients))
    bent = distort_by_hand((0.3, -0.2), model, coefficients)
    # Half a pixel: ROS counts from the centre of the first pixel, we from its corner.
    expected = bent * (matrix[0], matrix[4]) + (matrix[2], matrix[5]) + 0.5
    assert camera.project(np.array((0.6, -0.4, 2.0))) == pytest.approx(expected)


def test_the_principal_point_looks_straight_ahead():
    camera = CameraModel(SIZE, K)
    assert camera.rays(np.array((330.5, 250.5))) == pytest.approx([0, 0, 1])


def test_nobody_has_no_rays():
    camera = CameraModel(SIZE, K)
    assert camera.rays(np.zeros((0, 17, 2))).shape == (0, 17, 3)
    assert camera.project(np.zeros((0, 17, 3))).shape == (0, 17, 2)


@pytest.mark.parametrize(
    ("size", "matrix", "model", "coefficients", "phrase"),
    [
        pytest.param(SIZE, np.zeros(9), "plumb_bob", np.zeros(5), "calibrate", id="all zero"),
        pytest.param(SIZE, K * np.nan, "", (), "matrix K", id="not a number"),
        pytest.param(SIZE, K[:6], "", (), "matrix K", id="six numbers"),
        pytest.param((0, 0), K, "", (), "0 x 0", id="no size"),
        pytest.param(SIZE, K, "thin_prism", (1.0,), "thin_prism", id="an unknown model"),
        pytest.param(SIZE, K, "equidistant", (1.0, 2.0), "4 numbers", id="too few coefficients"),
        pytest.param(SIZE, K, "plumb_bob", (np.nan,) * 5, "distortion", id="a bad coefficient"),
    ],
)
def test_what_no_camera_can_be_is_refused(size, matrix, model, coefficients, phrase):
    with pytest.raises(CalibrationError, match=phrase):
        CameraModel(size, matrix, model, np.array(coefficients))


def test_an_undistorted_camera_may_name_any_model():
    camera = CameraModel(SIZE, K, "whatever", np.zeros(5))
    expected = cv2.projectPoints(
        np.array([[0.1, 0.2, 1.0]]), np.zeros(3), np.zeros(3), K.reshape(3, 3), np.zeros(5)
    )[0]
    assert camera.project(np.array((0.1, 0.2, 1.0))) == pytest.approx(expected.ravel() + 0.5)
