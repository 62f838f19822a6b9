# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from dataclasses import replace

import pytest

from kp_pose_ros.ros.diagnostics import Counts, Level, Limits, Report

LIMITS = Limits(warn_age=2, error_age=30, warn_latency=0.5, warn_bad=0.1)


def report(age=0.1, latency=0.05, busy=0.1, **after):
    counts = {"received": 30, "processed": 20, "dropped": 10} | after
    return Report(Counts(**counts), 1.0, age, busy, latency)


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        pytest.param(report(), Level.OK, "30.0 images/s, 20.0 processed", id="all is well"),
        pytest.param(report(age=None), Level.WARN, "waiting for the first", id="no image yet"),
        pytest.param(report(age=2.1), Level.WARN, "no image for 2.1 s", id="the camera stopped"),
        pytest.param(report(age=31), Level.ERROR, "no image for 31.0 s", id="stopped long ago"),
        pytest.param(report(busy=2.1), Level.WARN, "taken for 2.1 s: the network", id="busy"),
        pytest.param(report(busy=31), Level.ERROR, "taken for 31.0 s: the network", id="stuck"),
        pytest.param(report(failed=1), Level.ERROR, "the engine or publish", id="one failed"),
        pytest.param(
            replace(report(age=None), fault="taken away"), Level.ERROR, "taken away", id="no image"
        ),
        pytest.param(
            report(bad=Counter(step=6)), Level.WARN, "20% of the images", id="many bad images"
        ),
        pytest.param(report(bad=Counter(step=3)), Level.OK, "30.0 images/s", id="few bad images"),
        pytest.param(
            report(received=3, bad=Counter(step=6)), Level.WARN, "100% of", id="a second's backlog"
        ),
        pytest.param(report(repeated=3), Level.WARN, "3 images have the stamp", id="a still stamp"),
        pytest.param(report(back=1), Level.WARN, "jumped back", id="a clock set back"),
        pytest.param(report(lost=10), Level.WARN, "10 of 40 images were lost", id="many lost"),
        pytest.param(report(lost=3), Level.OK, "30.0 images/s", id="few lost"),
        pytest.param(report(latency=0.6), Level.WARN, "0.60 s after the image", id="late poses"),
        pytest.param(
            report(latency=-0.6), Level.WARN, "0.60 s ahead of", id="stamps of the future"
        ),
        pytest.param(report(latency=-0.4), Level.OK, "30.0 images/s", id="clocks nearly the same"),
        pytest.param(
            report(without_depth=20), Level.WARN, "no depth image matches", id="none has depth"
        ),
        pytest.param(
            report(with_depth=1, without_depth=19), Level.OK, "30.0 images/s", id="one has depth"
        ),
        pytest.param(report(latency=None), Level.OK, "30.0 images/s", id="no latency known"),
        pytest.param(
            report(unwanted=30, processed=0), Level.OK, "no subscriber", id="work for nobody"
        ),
    ],
)
def test_how_a_camera_is(found, level, words):
    assert found.judge(LIMITS)[0] == level
    assert words in found.judge(LIMITS)[1]


def test_only_what_happened_lately_counts():
    old = Counts(received=100, failed=50, bad=Counter(step=50), processed=0)
    new = Counts(received=130, failed=50, bad=Counter(step=50), processed=30)
    assert new.since(old) == Counts(received=30, processed=30)


def test_a_copy_does_not_follow_the_counts():
    counts = Counts(received=1, bad=Counter(step=1))
    copy = counts.copy()
    counts.received += 1
    counts.bad["step"] += 1
    assert (copy.received, copy.bad["step"]) == (1, 1)
