# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from room import WIDE
from scipy.spatial.transform import Rotation

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.coverage import LEAST_HEIGHT, PERSON_HEIGHT, coverage_of, floor_of

# The principal point is off the middle: 0.5 pixels are between K's origin and ours.
CAMERA = CameraModel((480, 640), np.array((500.0, 0, 299.5, 0, 500, 239.5, 0, 0, 1)))


def test_the_edges_of_the_image_are_angles_from_the_axis():
    found = coverage_of(CAMERA, 640)
    assert np.tan((found.left, found.right)) == pytest.approx((-300 / 500, 340 / 500))
    assert np.tan((found.up, found.down)) == pytest.approx((-240 / 500, 240 / 500))


@pytest.mark.parametrize(
    "columns", [pytest.param(640, id="as it is"), pytest.param(320, id="half")]
)
def test_a_person_at_the_farthest_is_as_high_as_the_network_needs(columns):
    found = coverage_of(CAMERA, columns)
    ends = np.array(((0, -PERSON_HEIGHT / 2, 1), (0, PERSON_HEIGHT / 2, 1)))
    ends[:, 2] = found.max_distance
    top, bottom = CAMERA.project(ends)[:, 1]
    assert (bottom - top) * columns / 640 == pytest.approx(LEAST_HEIGHT)


def test_a_person_at_the_nearest_fills_the_image():
    ends = np.array(((0, -PERSON_HEIGHT / 2, 1), (0, PERSON_HEIGHT / 2, 1)))
    ends[:, 2] = coverage_of(CAMERA, 640).min_distance
    assert CAMERA.project(ends)[:, 1] == pytest.approx((0, 480))


def test_a_fisheye_ends_where_its_lens_does():
    narrow = CameraModel(
        (720, 1280), np.array((300.0, 0, 640, 0, 300, 360, 0, 0, 1)), "equidistant",
        WIDE.coefficients,
    )  # fmt: skip
    found = coverage_of(narrow, 640)
    assert -np.pi / 2 < found.left < -1.2
    assert 1.2 < found.right < np.pi / 2


@pytest.mark.parametrize("focal", [1e30, 1e150])
def test_a_focal_length_that_no_lens_has_is_refused(focal):
    matrix = np.array((focal, 0, 299.5, 0, focal * 1e9, 239.5, 0, 0, 1))
    for coefficients in ((), (1e30,) * 5):
        camera = CameraModel(CAMERA.size, matrix, "plumb_bob", np.array(coefficients))
        with pytest.raises(CalibrationError, match=r"camera_info has .*: expected .*; calibrate"):
            coverage_of(camera, 640)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        pytest.param("plumb_bob", (-1e5, 0, 0, 0), id="turned back at once"),
        pytest.param("plumb_bob", (1e200,) * 5, id="numbers that overflow"),
        pytest.param("equidistant", (1e10, 0, 0, 0), id="a fisheye far outside"),
        pytest.param(
            "rational_polynomial", (*[0] * 12, 1.5707963, 0), id="a lens turned by 90 degrees"
        ),
    ],
)
def test_a_lens_that_shows_nothing_is_refused(model, coefficients):
    camera = CameraModel(CAMERA.size, CAMERA.matrix, model, np.array(coefficients))
    with pytest.raises(CalibrationError, match=r"camera_info has .*: expected .*; calibrate"):
        coverage_of(camera, 640)


# From the optical frame to one with z up, looking along x.
AHEAD = np.array(((0.0, 0, 1), (-1, 0, 0), (0, -1, 0)))


def is_inside(corners, points):
    """Return which points lie in a polygon that is counterclockwise."""
    ends = np.roll(corners, -1, axis=0)
    along, to = ends - corners, points[:, None] - corners
    return (along[:, 0] * to[..., 1] - along[:, 1] * to[..., 0] >= 0).all(axis=1)


def lens(focal, model="", coefficients=()):
    matrix = np.array((focal, 0, 319.5, 0, focal, 239.5, 0, 0, 1))
    return CameraModel((480, 640), matrix, model, np.array(coefficients, np.float64))


BARREL = lens(380.0, "plumb_bob", (-0.28, 0.06, 0, 0, 0))
CUSHION = lens(525.0, "plumb_bob", (0.2, 0.05, 0, 0, 0))
FISHEYE = lens(220.0, "equidistant", (0.01, -0.005, 0.001, 0))


@pytest.mark.parametrize(
    ("camera", "height", "pitch", "yaw", "share"),
    [
        pytest.param(CAMERA, 1.2, 0, 0, 0.85, id="level"),
        pytest.param(CAMERA, 2.5, 35, 40, 0.7, id="looking down"),
        pytest.param(CAMERA, 0.3, -20, -160, 0.6, id="looking up"),
        pytest.param(CAMERA, 8, 60, 0, 0, id="from a roof, where people look short"),
        pytest.param(CAMERA, 4, 89.9, 0, 0, id="straight down"),
        pytest.param(BARREL, 1.2, 0, 0, 0.6, id="a barrel"),
        pytest.param(CUSHION, 1.2, 0, 0, 0.75, id="a cushion"),
        pytest.param(FISHEYE, 1.2, 0, 0, 0.4, id="a fisheye"),
        pytest.param(FISHEYE, 2.5, 20, 0, 0.3, id="a fisheye looking down"),
    ],
)
def test_on_the_floor_that_is_covered_people_are_in_full_view_and_large_enough(
    camera, height, pitch, yaw, share
):
    """Every place in the polygon is covered, and a share of those that are covered is in it."""
    outside = 16 if camera is CUSHION else 0  # pixels, since its edges bend towards the middle
    turn = Rotation.from_euler("ZY", (yaw, pitch), degrees=True).as_matrix() @ AHEAD
    origin = np.array((1.0, -2.0, height))
    corners = floor_of(coverage_of(camera, 640), turn, origin)
    points = origin[:2] + np.random.default_rng(1).uniform(-15, 15, (20000, 2))
    covered = np.ones(len(points), bool)
    shown = []
    for end in (0.0, PERSON_HEIGHT):
        ends = (np.insert(points, 2, end, axis=1) - origin) @ turn
        ahead = ends[:, 2] > 0
        shown.append(camera.project(np.where(ahead[:, None], ends, (0, 0, 1))))
        covered &= ahead & (np.abs(shown[-1] - (320, 240)) <= np.add((320, 240), outside)).all(
            axis=1
        )
    covered &= np.linalg.norm(shown[0] - shown[1], axis=1) >= LEAST_HEIGHT
    found = is_inside(corners, points) if len(corners) else np.zeros(len(points), bool)
    assert not (found & ~covered).any()
    assert found.sum() >= share * covered.sum()
    assert found.any() == (share > 0)


def test_a_camera_that_looks_straight_down_has_a_floor_of_finite_corners():
    """By rounding, the matrix of such a quaternion may be -1 + 1e-16 at its end."""
    wide = replace(coverage_of(CAMERA, 640), up=-1.2, down=1.2, left=-1.2, right=1.2)
    turn = np.array(((0.0, -1, 0), (-1, 0, 0), (0, 0, -1 + 2e-16)))
    corners = floor_of(wide, turn, np.array((0, 0, 2.5)))
    assert len(corners) > 2
    assert np.isfinite(corners).all()


def test_a_camera_that_looks_at_the_ceiling_covers_no_floor():
    up = Rotation.from_euler("y", -90, degrees=True).as_matrix() @ AHEAD
    assert floor_of(coverage_of(CAMERA, 640), up, np.array((0, 0, 1.0))).shape == (0, 2)
