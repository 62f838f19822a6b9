# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.ros.pace import Pace

SECOND = 10**9
START = 1_700_000_000 * SECOND


def turns(pace, stamps, rate):
    """The stamps of the images whose turn it was."""
    due = []
    for stamp in stamps:
        if pace.is_due(stamp, rate):
            pace.taken(stamp, rate)
            due.append(stamp)
    return due


def camera(rate, seconds, start=START):
    return [start + index * SECOND // rate for index in range(rate * seconds)]


@pytest.mark.parametrize(
    ("camera_rate", "rate", "expected"),
    [
        pytest.param(30, 0.0, 300, id="every one"),
        pytest.param(30, 100.0, 300, id="more than there are"),
        pytest.param(30, 10.0, 100, id="a third"),
        pytest.param(30, 20.0, 200, id="two of three"),
        pytest.param(30, 0.5, 5, id="one in two seconds"),
    ],
)
def test_so_many_a_second_have_their_turn(camera_rate, rate, expected):
    due = turns(Pace(), camera(camera_rate, 10), rate)
    assert abs(len(due) - expected) <= 1


def test_images_that_come_irregularly_are_no_fewer_and_no_more():
    late = np.random.default_rng(0).integers(0, SECOND // 60, 300).tolist()
    stamps = [stamp + delay for stamp, delay in zip(camera(30, 10), late, strict=True)]
    assert abs(len(turns(Pace(), stamps, 10.0)) - 100) <= 2


def test_a_break_is_not_made_up_for():
    pace = Pace()
    turns(pace, camera(30, 1), 10.0)
    assert len(turns(pace, camera(30, 1, START + 60 * SECOND), 10.0)) == 10


@pytest.mark.parametrize("back", [1, 3600], ids="{} s".format)
def test_time_that_jumps_back_does_not_stop_it(back):
    pace = Pace()
    turns(pace, camera(30, 2), 10.0)
    assert len(turns(pace, camera(30, 1, START - back * SECOND), 10.0)) == 10


def test_a_camera_that_froze_has_no_turn():
    assert turns(Pace(), [START] * 10, 10.0) == [START]


def test_a_higher_rate_counts_at_once():
    pace = Pace()
    turns(pace, [START], 0.01)
    assert pace.is_due(START + SECOND // 10, 10.0)


def test_it_is_nobody_s_turn_until_it_is_taken():
    pace = Pace()
    assert pace.is_due(START, 10.0)
    assert pace.is_due(START + 1, 10.0)
