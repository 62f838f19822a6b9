# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.space.depth import DepthImage

SIZE = (480, 640)
SPANS = np.array([200.0])


def wall_and_limb(limb=2.0, wall=4.0, width=20) -> np.ndarray:
    """Return metres: a wall with an upright limb in the middle of the picture."""
    metres = np.full(SIZE, wall, np.float32)
    metres[:, 320 - width // 2 : 320 + width // 2] = limb
    return metres


def depth_at(metres, x, y=240.0, encoding="32FC1", size=SIZE) -> float:
    image = DepthImage(metres, encoding)
    return float(image.at(np.array([[(x, y)]]), SPANS, size)[0, 0])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        pytest.param(320, 2, id="in the middle of the limb"),
        pytest.param(329, 2, id="at its edge"),
        pytest.param(331, 2, id="just beside it, as a model may be wrong"),
        pytest.param(400, 4, id="on the wall"),
        pytest.param(-50, np.nan, id="outside of the picture"),
        pytest.param(np.nan, np.nan, id="nowhere"),
    ],
)
def test_whose_depth_a_keypoint_has(x, expected):
    assert depth_at(wall_and_limb(), x) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "hole", [pytest.param(v, id=str(v)) for v in (0.0, np.nan, np.inf, -1.0, 1e9)]
)
def test_what_was_not_measured_does_not_count(hole):
    metres = wall_and_limb()
    metres[::2] = hole
    assert depth_at(metres, 320) == pytest.approx(2)
    metres[:] = hole
    assert np.isnan(depth_at(metres, 320))


def test_a_limb_that_is_a_hole_has_no_depth_rather_than_the_walls():
    metres = wall_and_limb()
    metres[:, 300:340] = np.nan
    assert np.isnan(depth_at(metres, 320))


def test_the_mixture_at_an_edge_is_no_surface():
    metres = wall_and_limb()
    metres[:, 330:334] = (2.5, 3.0, 3.3, 3.6)
    assert depth_at(metres, 329) == pytest.approx(2)


def test_millimetres_are_metres():
    millimetres = (wall_and_limb() * 1000).astype(np.uint16)
    assert depth_at(millimetres, 320, encoding="16UC1") == pytest.approx(2)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_depth_image_may_be_smaller_than_the_picture(factor):
    small = np.ascontiguousarray(wall_and_limb(width=40)[::factor, ::factor])
    assert depth_at(small, 320) == pytest.approx(2)
    assert depth_at(small, 450) == pytest.approx(4)


def test_nobody_has_no_depth():
    image = DepthImage(wall_and_limb(), "32FC1")
    assert image.at(np.zeros((0, 17, 2)), np.zeros(0), SIZE).shape == (0, 17)


@pytest.mark.parametrize(
    ("values", "encoding", "phrase"),
    [
        pytest.param(np.zeros(SIZE, np.uint8), "8UC1", "8UC1", id="an encoding without units"),
        pytest.param(np.zeros(SIZE, np.float32), "16UC1", "float32", id="another type"),
        pytest.param(np.zeros((4, 4, 3), np.float32), "32FC1", "shape", id="a colour picture"),
        pytest.param(np.zeros((0, 4), np.float32), "32FC1", "shape", id="empty"),
    ],
)
def test_what_is_no_depth_is_refused(values, encoding, phrase):
    with pytest.raises(FrameError, match=phrase):
        DepthImage(values, encoding)


# The 25 pixels that are looked at around (320, 240) of a person 400 pixels tall: (row, column).
LOOKS = [(240 + y, 320 + x) for y in (-8, -5, 0, 3, 8) for x in (-8, -5, 0, 3, 8)]


@pytest.mark.parametrize(
    ("depths", "expected"),
    [
        pytest.param([2.0] * 9, 2.0, id="as few as tell"),
        pytest.param([2.0] * 8, np.nan, id="too few"),
        pytest.param([2.0] * 4 + [5.0] * 21, 2.0, id="four make a surface"),
        pytest.param([2.0] * 3 + [5.0] * 22, np.nan, id="three do not"),
        pytest.param([1.0] + [2.0] * 24, 2.0, id="one stray pixel in front"),
        pytest.param([1.0] * 2 + [2.0] * 23, np.nan, id="two of them may be a limb"),
        pytest.param([0.5] * 3 + [0.512] + [5.0] * 21, 0.5, id="a slope at half a metre"),
        pytest.param([0.5] * 3 + [0.513] + [5.0] * 21, np.nan, id="two things at half a metre"),
        pytest.param([10.0] * 3 + [11.19] + [20.0] * 21, 10.0, id="noise at ten metres"),
        pytest.param([10.0] * 3 + [11.21] + [20.0] * 21, np.nan, id="two things at ten metres"),
        pytest.param([0.1] * 25, 0.1, id="as near as a camera measures"),
        pytest.param([0.09] * 25, np.nan, id="nearer than that"),
        pytest.param([50.0] * 25, 50.0, id="as far as a camera measures"),
        pytest.param([51.0] * 25, np.nan, id="farther than that"),
    ],
)
def test_the_nearest_surface_of_the_pixels_around_a_keypoint(depths, expected):
    image = np.zeros(SIZE, np.float32)
    for place, depth in zip(LOOKS, depths, strict=False):
        image[place] = depth
    pixels, spans = np.array([[(320.0, 240.0)]]), np.array([400.0])
    found = DepthImage(image, "32FC1").at(pixels, spans, SIZE)[0, 0]
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("y", [0.0, 479.9])
@pytest.mark.parametrize("x", [0.0, 639.9])
def test_a_corner_of_the_picture_has_a_depth(x, y):
    found = DepthImage(np.full(SIZE, 2.0, np.float32), "32FC1")
    assert found.at(np.array([[(x, y)]]), np.array([400.0]), SIZE)[0, 0] == pytest.approx(2.0)


@pytest.mark.parametrize("pixel", [(700.0, 240.0), (-60.0, 240.0), (320.0, 540.0), (320.0, -60.0)])
def test_outside_of_the_picture_is_no_depth(pixel):
    found = DepthImage(np.full(SIZE, 2.0, np.float32), "32FC1")
    assert np.isnan(found.at(np.array([[pixel]]), np.array([400.0]), SIZE)[0, 0])
