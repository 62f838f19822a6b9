# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
from sighted import FOCAL, NAMES, SIZE, Someone, people, poses_of

from kp_pose_ros.following.kinematics import RANGE, Filter, X, coordinates
from kp_pose_ros.following.kinematics import SIZE as SIZE_OF_TORSO


def filter_of(*someone, step=0.1):
    """Return what is expected of a person after these sightings."""
    expected = Filter(1.0)
    for each in someone:
        expected.predict(step)
        expected.correct(people(each).coordinates[0])
    return expected


def evidence(expected, someone):
    return float(expected.evidence(people(someone).coordinates, SIZE)[0])


def test_a_persons_coordinates_are_their_middle_size_and_range():
    (found,) = people(Someone(1, x=0.6, z=3.0)).coordinates
    assert found[X] == pytest.approx(SIZE[1] / 2 + FOCAL * 0.2)
    assert found[RANGE] == pytest.approx(math.log(math.hypot(0.6, 3.0)))


def test_without_a_torso_the_box_counts():
    poses = poses_of(Someone(1))
    found = coordinates(poses, np.full((1, 3), np.nan), NAMES[:5])
    assert found[0, X] == pytest.approx(poses.boxes[0, ::2].mean())
    assert np.isfinite(found[0]).tolist() == [True, True, True, False]


def test_a_person_whose_torso_is_hidden_is_as_large_as_the_box_says():
    seen, hidden = people(Someone(1)), people(Someone(1))
    hidden.coordinates[0, SIZE_OF_TORSO] = np.nan
    assert hidden.filter_of(0).unit == pytest.approx(seen.filter_of(0).unit, rel=0.3)


def test_somebody_who_walks_is_expected_further_on():
    expected = filter_of(*(Someone(1, x=0.05 * i) for i in range(20)))
    expected.predict(0.3)
    assert evidence(expected, Someone(1, x=1.2)) > evidence(expected, Someone(1, x=0.7))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Someone(1, x=0.5), id="beside"),
        pytest.param(Someone(1, z=4.0), id="behind"),
        pytest.param(Someone(1, z=4.0, depth=False), id="smaller"),
    ],
)
def test_people_elsewhere_fit_less(other):
    expected = filter_of(*[Someone(1)] * 10)
    assert evidence(expected, Someone(1)) > 5
    assert evidence(expected, other) < evidence(expected, Someone(1)) - 3


@pytest.mark.parametrize("depth", [True, False], ids=["depth", "size"])
def test_what_is_nearer_at_the_same_place_may_be_what_hides_the_person(depth):
    expected = filter_of(*[Someone(1)] * 10)
    nearer, farther = (Someone(1, z=3.0 * ratio, depth=depth) for ratio in (1 / 1.2, 1.2))
    assert evidence(expected, nearer) < evidence(expected, farther) - 2


def test_the_longer_a_person_is_out_of_sight_the_less_a_place_says():
    expected = filter_of(*[Someone(1)] * 10)
    here, far = [], []
    for _ in range(4):
        expected.predict(0.5)
        here.append(evidence(expected, Someone(1)))
        far.append(evidence(expected, Someone(1, x=1.5)))
    assert here == sorted(here, reverse=True)
    assert far == sorted(far)
    assert here[-1] > far[-1]
