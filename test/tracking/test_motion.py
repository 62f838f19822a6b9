# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from kp_pose_ros.tracking.motion import (
    CENTER,
    POSITION,
    SIZE,
    VARIANCE,
    VELOCITY,
    begin,
    correct,
    predict,
    shift,
)

NOISE = np.full((1, 3), 4.0)
SEEN, HIDDEN = np.ones((1, 1), bool), np.zeros((1, 1), bool)
FIRST = np.array([0])


def standing(x: float = 100.0) -> np.ndarray:
    """Return the centre, the size and one keypoint of a person 100 pixels tall."""
    return np.array([[(x, 40.0, x + 10), (200.0, 100.0, 180.0)]])


def walking(speed: float) -> np.ndarray:
    """Return the state of a person who has walked for two seconds, pixels / s to the right."""
    states = begin(standing(), NOISE, SEEN)
    for i in range(1, 61):
        predict(states, 1 / 30)
        correct(states, FIRST, standing(100 + speed * i / 30), NOISE, SEEN)
    return states


def test_one_long_step_is_as_good_as_many_short_ones():
    once, often = walking(30), walking(30)
    # The keypoint's carrier is taken as steady within a step, so only the others are exact.
    predict(once, 0.5)
    for _ in range(50):
        predict(often, 0.01)
    exact = slice(0, SIZE + 1)
    np.testing.assert_allclose(once[..., exact], often[..., exact], rtol=1e-6, atol=1e-9)


def test_no_time_changes_nothing():
    states = walking(30)
    predict(states, 0.0)
    np.testing.assert_allclose(states, walking(30), atol=1e-12)


def test_walking_goes_on_and_keypoints_go_along():
    states = walking(60)
    predict(states, 0.5)
    np.testing.assert_allclose(states[:, POSITION], standing(100 + 60 * 2.5), atol=3)


def test_a_hidden_keypoint_does_not_follow_what_is_measured():
    states = walking(0)
    measured = standing()
    measured[..., 2] = 0
    correct(states, FIRST, measured, NOISE, HIDDEN)
    np.testing.assert_allclose(states[0, POSITION, 2], (110, 180), atol=1)


def test_uncertainty_grows_unseen_and_shrinks_when_seen():
    states = walking(0)
    seen = states[0, VARIANCE].copy()
    predict(states, 0.3)
    unseen = states[0, VARIANCE].copy()
    correct(states, FIRST, standing(), NOISE, SEEN)
    assert (unseen > seen).all()
    assert (states[0, VARIANCE] < unseen).all()


def test_only_the_chosen_people_are_corrected_whether_by_index_or_by_slice():
    both = np.concatenate((walking(0), walking(30)))
    by_index, by_slice = both.copy(), both[1:].copy()
    correct(by_index, np.array([1]), standing(), NOISE, SEEN)
    correct(by_slice, slice(None), standing(), NOISE, SEEN)
    np.testing.assert_array_equal(by_index[0], both[0])
    np.testing.assert_array_equal(by_index[1:], by_slice)
    assert (by_slice[:, POSITION] != both[1:, POSITION]).any()


def test_the_filter_knows_how_wrong_it_is():
    """Errors, in the standard deviations that the filter states, are about 1 on average."""
    random = np.random.default_rng(0)
    normalised = []
    states = begin(standing(), NOISE, SEEN)
    for _ in range(2000):
        predict(states, 1 / 30)
        correct(states, FIRST, standing() + random.normal(0, 2, (1, 2, 3)), NOISE, SEEN)
        error = states[0, POSITION, CENTER] - standing()[0, :, CENTER]
        normalised.append(error**2 / states[0, VARIANCE, CENTER])
    # A standing person is easier to predict than the motion model assumes.
    assert 0.2 < np.mean(normalised[100:]) < 1.2


def test_a_shift_moves_everything_but_the_size():
    states = walking(0)
    before = states[:, POSITION].copy()
    shift(states, np.array((5.0, -3.0)))
    moved = states[:, POSITION] - before
    np.testing.assert_allclose(moved[0], [(5, 0, 5), (-3, 0, -3)], atol=1e-9)


def test_a_box_that_shrinks_unseen_keeps_a_size():
    states = walking(0)
    states[:, VELOCITY, SIZE] = -1000
    predict(states, 1.0)
    assert states[0, POSITION, SIZE].tolist() == [1, 1]
