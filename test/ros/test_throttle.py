# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.ros import throttle
from kp_pose_ros.ros.throttle import Throttle


@pytest.fixture
def clock(monkeypatch):
    time = [100.0]
    monkeypatch.setattr(throttle, "monotonic", lambda: time[0])
    return time


def test_the_first_passes_and_the_next_only_after_the_period(clock):
    throttle = Throttle(10.0)
    passed = []
    for clock[0] in (100.0, 105.0, 109.9, 110.0, 119.0, 121.0):
        passed.append(throttle.passes("step"))
    assert passed == [True, False, False, True, False, True]


def test_each_key_has_a_period_of_its_own(clock):
    throttle = Throttle(10.0)
    assert [throttle.passes(key) for key in ("step", "data", "step")] == [True, True, False]
