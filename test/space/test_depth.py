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
