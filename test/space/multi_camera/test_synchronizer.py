# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import weakref

import pytest

from kp_pose_ros.space.multi_camera.synchronizer import Synchronizer

MS = 10**6


def sets_of(cameras, names, slop=20):
    """What becomes of images that come in an order, each named by camera and milliseconds."""
    synchronizer = Synchronizer(cameras, slop * MS)
    found = []
    for name in names.split():
        sets = synchronizer.put(name[0], int(name[1:]) * MS, name)
        found += [" ".join(sorted(seen.item for seen in each.values())) for each in sets]
    return found


@pytest.mark.parametrize(
    ("cameras", "images", "sets"),
    [
        pytest.param("AB", "A100 B100", ["A100 B100"], id="the same stamp"),
        pytest.param("AB", "A100 B120", ["A100 B120"], id="as far apart as may be"),
        pytest.param("AB", "A100 B121", [], id="too far apart"),
        pytest.param("AB", "A100 B100 B133 A133", ["A100 B100", "A133 B133"], id="in any order"),
        pytest.param(
            "AB", "A100 A133 B100 B133", ["A100 B100", "A133 B133"], id="one camera comes late"
        ),
        pytest.param("AB", "A100 A133 B133", ["A133 B133"], id="an image of one camera is lost"),
        pytest.param("ABC", "A100 B100", [], id="the third may come"),
        pytest.param("ABC", "A100 B100 C110", ["A100 B100 C110"], id="the third comes"),
        pytest.param("ABC", "A100 B100 C133", ["A100 B100"], id="the third has gone on"),
        pytest.param("ABC", "A100 B133 C133", [], id="one is alone, the others are not done"),
        pytest.param(
            "ABC",
            "C100 A2100 B2100 A2133 B2133",
            ["A2100 B2100", "A2133 B2133"],
            id="a silent camera is waited for no longer than two seconds",
        ),
        pytest.param(
            "AB", "A9000 B9000 A9033 A100 B100", ["A9000 B9000", "A100 B100"], id="the clock jumps"
        ),
        pytest.param(
            "AB",
            "A100 A133 A132 B100 B132 B166",
            ["A100 B100", "A132 B132"],
            id="an image that is late is put in its place",
        ),
        pytest.param("AB", "A0 B0 A0 B0", ["A0 B0", "A0 B0"], id="stamps that stand still"),
    ],
)
def test_images_of_one_time_are_put_together(cameras, images, sets):
    assert sets_of(cameras, images) == sets


def test_a_silent_camera_is_not_waited_for_although_stamps_stand_still(monkeypatch):
    monkeypatch.setattr("kp_pose_ros.space.multi_camera.synchronizer._SILENCE", 10 * MS)
    assert sets_of("ABC", "C0 " + "A0 B0 " * 8)[-1] == "A0 B0"


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(0, id="stamps stand still"),
        pytest.param(1, id="stamps hardly advance"),
        pytest.param(-1, id="stamps go back"),
        pytest.param(33 * MS, id="stamps advance"),
    ],
)
def test_a_camera_without_partners_keeps_no_more_than_a_few_seconds(step):
    synchronizer = Synchronizer("AB", 20 * MS)
    live = weakref.WeakSet()
    for i in range(2000):
        item = frozenset([i])
        live.add(item)
        assert synchronizer.put("A", 10**18 + i * step, item) == []
    del item
    assert len(live) <= 500
