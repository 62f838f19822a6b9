# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from sighted import BLUE, SECOND, Someone, people

from kp_pose_ros.following.pursuit import Loss, Pursuit, State

STEP = SECOND // 10


def pursue(*places, patience=SECOND, needs_position=True, velocity=0.0):
    """Return the reports on a person who is at these places, one an image; None: out of sight."""
    seen = [people(*[] if each is None else [each]) for each in places]
    for each in seen:
        each.velocities[:, 0] = velocity
    pursuit = Pursuit(seen[0], 0, 0, patience=patience, needs_position=needs_position)
    return [pursuit.update(each, (i + 1) * STEP) for i, each in enumerate(seen)]


def test_the_target_is_visible_then_predicted_then_lost():
    reports = pursue(*[Someone(1)] * 5, *[None] * 10)
    states = [State.VISIBLE] * 5 + [State.PREDICTED] * 5 + [State.LOST] * 5
    assert [each.state for each in reports] == states
    assert {each.last_visible for each in reports[4:]} == {5 * STEP}


def test_a_predicted_target_moves_on_by_its_velocity():
    reports = pursue(*[Someone(1)] * 5, *[None] * 6, velocity=0.5)
    assert reports[8].position == pytest.approx((0.5 * 0.4, 0, 3))
    assert reports[10].position is None


@pytest.mark.parametrize(
    ("places", "loss"),
    [
        pytest.param([Someone(1)], Loss.HIDDEN, id="in the middle"),
        pytest.param([Someone(1, x=-1.75)], Loss.LEFT_AT_LEFT, id="at the left"),
        pytest.param([Someone(1, x=1.75)], Loss.LEFT_AT_RIGHT, id="at the right"),
        pytest.param(
            [Someone(1, x=0.1 * i) for i in range(17)], Loss.LEFT_AT_RIGHT, id="on the way out"
        ),
        pytest.param([Someone(1, z=0.3)], Loss.HIDDEN, id="touching both sides"),
    ],
)
def test_who_vanished_says_where(places, loss):
    *_, last = pursue(*places * (5 if len(places) == 1 else 1), *[None] * 11)
    assert last.loss is loss


def test_a_target_that_moves_up_leaves_at_the_top():
    seen = [people(Someone(1)) for _ in range(12)]
    for index, each in enumerate(seen):
        each.coordinates[:, 1] -= 20 * index
    pursuit = Pursuit(seen[0], 0, 0, patience=SECOND, needs_position=True)
    for index, each in enumerate(seen + [people()] * 11):
        report = pursuit.update(each, (index + 1) * STEP)
    assert report.loss is Loss.LEFT_AT_TOP


def test_a_target_without_a_distance_is_lost_only_where_that_is_needed():
    flat = Someone(1, depth=False)
    assert pursue(Someone(1), *[flat] * 12)[-1].loss is Loss.NO_DEPTH
    report = pursue(Someone(1), *[flat] * 12, needs_position=False)[-1]
    assert (report.state, report.position, report.loss) == (State.VISIBLE, None, None)


def test_two_who_may_be_the_target_are_a_reason_of_its_own():
    pursuit = Pursuit(people(Someone(1)), 0, 0, patience=SECOND, needs_position=True)
    for index in range(12):
        both = people(Someone(8, x=-0.2), Someone(9, x=0.2)) if index > 5 else people()
        report = pursuit.update(both, (index + 1) * STEP)
    assert report.loss is Loss.AMBIGUOUS


def test_others_in_sight_do_not_keep_a_target():
    start = people(Someone(1), Someone(2, x=1.0, colour=BLUE))
    pursuit = Pursuit(start, 0, 0, patience=SECOND, needs_position=True)
    for index in range(12):
        report = pursuit.update(people(Someone(2, x=1.0, colour=BLUE)), (index + 1) * STEP)
    assert report.loss is Loss.HIDDEN
    assert np.isfinite(report.last_visible)
