# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from kp_pose_ros.inference.letterbox import PAD_VALUE, Letterbox


@pytest.mark.parametrize(
    ("source", "network", "resized", "top", "left"),
    [
        pytest.param((720, 1280), (640, 640), (360, 640), 140, 0, id="wide into a square"),
        pytest.param((720, 1280), (384, 640), (360, 640), 12, 0, id="wide into a wide one"),
        pytest.param((1080, 810), (640, 480), (640, 480), 0, 0, id="an exact fit"),
        pytest.param((1080, 810), (640, 640), (640, 480), 0, 80, id="upright into a square"),
        pytest.param((100, 100), (640, 640), (640, 640), 0, 0, id="enlarged"),
        pytest.param((361, 640), (384, 640), (361, 640), 11, 0, id="the odd row goes below"),
        pytest.param((1, 5000), (640, 640), (1, 640), 319, 0, id="a line keeps one row"),
    ],
)
def test_fit_is_that_of_the_reference(source, network, resized, top, left):
    assert Letterbox.fit(source, network) == Letterbox(source, network, resized, top, left)


def test_apply_resizes_bilinearly_and_keeps_the_padding():
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    letterbox = Letterbox.fit((90, 160), (64, 96))
    canvas = letterbox.canvas()
    letterbox.apply(picture, canvas)
    expected = cv2.copyMakeBorder(
        cv2.resize(picture, (96, 54)), 5, 5, 0, 0, cv2.BORDER_CONSTANT, value=(PAD_VALUE,) * 3
    )
    np.testing.assert_array_equal(canvas, expected)


def test_apply_copies_a_picture_of_the_right_size():
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    letterbox = Letterbox.fit((64, 96), (64, 96))
    canvas = letterbox.canvas()
    letterbox.apply(picture, canvas)
    np.testing.assert_array_equal(canvas, picture)


@pytest.mark.parametrize("source", [(720, 1280), (1080, 810), (37, 1999), (641, 639), (3, 3)])
@pytest.mark.parametrize("network", [(640, 640), (384, 640), (96, 64)])
def test_points_of_the_network_are_mapped_back_to_the_source(source, network):
    letterbox = Letterbox.fit(source, network)
    points = np.random.default_rng(1).uniform((0, 0), source[::-1], (50, 2)).astype(np.float32)
    scale = np.divide(letterbox.resized, source)[::-1]
    in_network = (points * scale + (letterbox.left, letterbox.top)).astype(np.float32)
    np.testing.assert_allclose(letterbox.to_source(in_network), points, atol=max(source) * 1e-6)


def test_a_marked_pixel_is_found_where_it_was():
    source = np.zeros((720, 1280, 3), np.uint8)
    source[400:404, 900:904] = 255
    letterbox = Letterbox.fit((720, 1280), (384, 640))
    canvas = letterbox.canvas()
    canvas[:] = 0
    letterbox.apply(source, canvas)
    rows, columns = np.nonzero(canvas[..., 0])
    centre = np.array(((columns.mean() + 0.5, rows.mean() + 0.5),), np.float32)
    np.testing.assert_allclose(letterbox.to_source(centre), ((902, 402),), atol=0.01)


def test_points_in_the_padding_are_clipped_to_the_picture():
    letterbox = Letterbox.fit((720, 1280), (640, 640))
    corners = np.array(((-5, 0), (700, 640)), np.float32)
    assert letterbox.to_source(corners).tolist() == [[0, 0], [1280, 720]]
