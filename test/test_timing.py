# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

from kp_pose_ros.timing import KEPT, StageTimes, Throttle, percentiles


def test_a_measured_stage_is_recorded_under_its_name():
    times = StageTimes()
    with times.measure("infer"):
        pass
    times.add("decode", 0.5)
    seconds = times.seconds()
    assert seconds["decode"] == [0.5]
    assert len(seconds["infer"]) == 1


def test_only_the_latest_durations_are_kept():
    times = StageTimes()
    for second in range(KEPT + 10):
        times.add("infer", second)
    assert times.seconds()["infer"] == list(range(10, KEPT + 10))


def test_clear_forgets():
    times = StageTimes()
    times.add("infer", 1)
    times.clear()
    assert times.seconds() == {}


def test_percentiles_are_the_median_and_the_tail():
    assert percentiles([float(n) for n in range(101)]) == [50, 95, 99]


def test_percentiles_of_nothing_are_no_number():
    assert all(math.isnan(each) for each in percentiles([]))


CLOCK = "kp_pose_ros.timing.monotonic"


def test_the_first_passes_and_the_next_only_after_the_period(clock):
    throttle = Throttle(10.0)
    passed = []
    for clock[0] in (100.0, 105.0, 109.9, 110.0, 119.0, 121.0):
        passed.append(throttle.passes("step"))
    assert passed == [True, False, False, True, False, True]


def test_each_key_has_a_period_of_its_own(clock):
    throttle = Throttle(10.0)
    assert [throttle.passes(key) for key in ("step", "data", "step")] == [True, True, False]
