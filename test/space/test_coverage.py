# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from room import WIDE

from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.coverage import LEAST_HEIGHT, PERSON_HEIGHT, coverage_of

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
