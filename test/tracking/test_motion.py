# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from kp_pose_ros.tracking.motion import CENTER, SIZE, Motion

NOISE = np.full((1, 3), 2.0)
SEEN, HIDDEN = np.ones((1, 1), bool), np.zeros((1, 1), bool)
FIRST = np.array([0])


def standing(x: float = 100.0) -> np.ndarray:
    """Return the centre, the size and one keypoint of a person 100 pixels tall."""
    return np.array([[(x, 200.0), (40.0, 100.0), (x + 10, 180.0)]])


def walking(speed: float) -> Motion:
    """Return the state of somebody who has walked for two seconds, pixels / s to the right."""
    motion = Motion.begin(standing(), NOISE, SEEN)
    for i in range(1, 61):
        motion.predict(1 / 30)
        motion.correct(FIRST, standing(100 + speed * i / 30), NOISE, SEEN)
    return motion


def test_one_long_step_is_as_good_as_many_short_ones():
    once, often = walking(30), walking(30)
    # The keypoint's carrier is taken as steady within a step, so only the centre is exact.
    once.predict(0.5)
    for _ in range(50):
        often.predict(0.01)
    for name in ("position", "velocity", "covariance"):
        np.testing.assert_allclose(
            getattr(once, name)[:, : SIZE + 1],
            getattr(often, name)[:, : SIZE + 1],
            rtol=1e-6,
            atol=1e-9,
        )


def test_no_time_changes_nothing():
    motion, same = walking(30), walking(30)
    motion.predict(0.0)
    np.testing.assert_allclose(motion.position, same.position)
    np.testing.assert_allclose(motion.covariance, same.covariance)


def test_walking_goes_on_and_keypoints_go_along():
    motion = walking(60)
    motion.predict(0.5)
    expected = standing(100 + 60 * 2.5)
    np.testing.assert_allclose(motion.position, expected, atol=3)


def test_a_hidden_keypoint_does_not_follow_what_is_measured():
    motion = walking(0)
    measured = standing()
    measured[0, 2] = 0
    motion.correct(FIRST, measured, NOISE, HIDDEN)
    np.testing.assert_allclose(motion.position[0, 2], (110, 180), atol=1)


def test_uncertainty_grows_unseen_and_shrinks_when_seen():
    motion = walking(0)
    seen = motion.covariance[0, :, 0].copy()
    motion.predict(0.3)
    unseen = motion.covariance[0, :, 0].copy()
    motion.correct(FIRST, standing(), NOISE, SEEN)
    assert (unseen > seen).all()
    assert (motion.covariance[0, :, 0] < unseen).all()


def test_the_filter_knows_how_wrong_it_is():
    """Errors, in the standard deviations that the filter states, are about 1 on average."""
    random = np.random.default_rng(0)
    normalised = []
    motion = Motion.begin(standing(), NOISE, SEEN)
    for _ in range(2000):
        motion.predict(1 / 30)
        motion.correct(FIRST, standing() + random.normal(0, 2, (1, 3, 2)), NOISE, SEEN)
        error = motion.position[0, CENTER] - standing()[0, CENTER]
        normalised.append(error**2 / motion.covariance[0, CENTER, 0])
    # Somebody who stands is easier than the model of motion expects.
    assert 0.2 < np.mean(normalised[100:]) < 1.2


def test_a_shift_moves_everything_but_the_size():
    motion = walking(0)
    before = motion.position.copy()
    motion.shift(np.array((5.0, -3.0)))
    moved = motion.position - before
    np.testing.assert_allclose(moved[0], [(5, -3), (0, 0), (5, -3)], atol=1e-9)


def test_a_box_that_shrinks_unseen_keeps_a_size():
    motion = walking(0)
    motion.velocity[:, SIZE] = -1000
    motion.predict(1.0)
    assert motion.position[0, SIZE].tolist() == [1, 1]
