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
        pytest.param(SIZE, K, "", (0.1, 0, 0, 0), "distortion model ''", id="no name of a model"),
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


SHAPES = (0.1, -0.05, *(0.001, 0.002), 0.01, 0.02, -0.01, 0.005, *(0.001, 0.002) * 2, 0.01, 0.02)
LENGTHS = [(told, given) for told in range(1, 15) for given in (4, 5, 8, 12, 14, 15)]


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial"])
@pytest.mark.parametrize(("told", "given"), [each for each in LENGTHS if each[0] <= each[1]])
def test_coefficients_mean_what_opencv_reads_whatever_zeros_follow(model, told, given):
    coefficients = np.append(SHAPES[:told], np.zeros(given - told))
    points = np.array([[0.1, 0.2, 1.0], [-0.4, 0.3, 1.0]])
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), K.reshape(3, 3), np.append(SHAPES[:told], [0] * 14)[:14]
    )
    camera = CameraModel(SIZE, K, model, coefficients)
    np.testing.assert_allclose(camera.project(points), expected[:, 0] + 0.5)
    np.testing.assert_allclose(
        camera.at_depth_one(camera.project(points)), points[:, :2], atol=1e-3
    )


def test_zeros_may_follow_the_coefficients_of_a_fisheye():
    coefficients = np.array((-0.01, 0.05, -0.045, 0.008))
    padded = CameraModel(SIZE, K, "equidistant", np.append(coefficients, np.zeros(4)))
    plain = CameraModel(SIZE, K, "equidistant", coefficients)
    np.testing.assert_array_equal(padded.rays(grid()), plain.rays(grid()))


FOLDING = [
    pytest.param((960, 1280), 300, "equidistant", (-0.1, -0.05, 0, 0), id="a fisheye"),
    pytest.param(
        (800, 1280),
        280,
        "equidistant",
        (0.0578, 0.0206, -0.0148, 0.0022),
        id="a fisheye that stretches its edges",
    ),
    pytest.param(
        (720, 1280), 290, "plumb_bob", (-0.247, 0.103, 0, 0, 0.018), id="a moustache distortion"
    ),
    pytest.param((480, 640), 300, "plumb_bob", (-0.34, 0.12, 0, 0, -0.02), id="a wide lens"),
    pytest.param((480, 640), 400, "plumb_bob", (-0.4, 0, 0, 0), id="one coefficient"),
    pytest.param((480, 640), 150, "", (), id="no distortion"),
    pytest.param(
        (480, 640),
        250,
        "rational_polynomial",
        (-0.5, 0.1, 0, 0, 0, -0.1, 0.02, 0),
        id="a rational polynomial",
    ),
]


@pytest.mark.parametrize(("size", "focal_length", "model", "coefficients"), FOLDING)
def test_every_pixel_has_the_ray_that_leads_to_it_or_none(size, focal_length, model, coefficients):
    height, width = size
    matrix = np.array((focal_length, 0, width / 2, 0, focal_length, height / 2, 0, 0, 1))
    camera = CameraModel(size, matrix, model, np.array(coefficients))
    columns, rows = np.meshgrid(np.arange(0.5, width, 8), np.arange(0.5, height, 8))
    pixels = np.stack((columns, rows), axis=-1)
    plane = camera.at_depth_one(pixels)
    # The truth, by looking: how far out rays appear, up to where the lens folds back.
    tangents = np.tan(np.linspace(0, 1.569, 200_001))
    radii = radius_of(tangents, model, coefficients)
    fold = np.argmax(np.diff(radii) <= 0) if (np.diff(radii) <= 0).any() else len(radii)
    wanted = np.hypot(*np.moveaxis(pixels - 0.5 - (width / 2, height / 2), -1, 0)) / focal_length
    expected = np.interp(wanted, radii[:fold], tangents[:fold])
    inside, outside = wanted < 0.9 * radii[:fold].max(), wanted > 1.01 * radii[:fold].max()
    found = np.linalg.norm(plane, axis=-1)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=0.01, atol=1e-6)
    assert np.isnan(plane[outside]).all()
    right = np.isnan(found) | (np.abs(np.arctan(found) - np.arctan(expected)) < 0.05)
    assert right.all()


def radius_of(tangents, model, coefficients):
    """Return how far from the principal point rays appear, in focal lengths."""
    if model == "equidistant":
        angles = np.arctan(tangents)
        return angles * (1 + sum(k * angles ** (2 * i + 2) for i, k in enumerate(coefficients)))
    k1, k2, _, _, k3, k4, k5, k6 = np.append(coefficients, np.zeros(8))[:8]
    square = tangents**2
    bent = 1 + k1 * square + k2 * square**2 + k3 * square**3
    return tangents * bent / (1 + k4 * square + k5 * square**2 + k6 * square**3)
