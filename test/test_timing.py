# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from kp_pose_ros.timing import KEPT, StageTimes


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
