# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.ros.space.depth import Recent


def recent(*stamps):
    items = Recent()
    for stamp in stamps:
        items.put(stamp, f"item {stamp}")
    return items


@pytest.mark.parametrize(
    ("stamps", "wanted", "found"),
    [
        pytest.param((10, 20, 30), 20, 20, id="the same stamp"),
        pytest.param((10, 20, 30), 24, 20, id="an older one is nearer"),
        pytest.param((10, 20, 30), 26, 30, id="a newer one is nearer"),
        pytest.param((10, 20, 30), 99, 30, id="only older ones"),
        pytest.param((30, 10, 20), 21, 20, id="out of order"),
        pytest.param((900, 910, 10, 20), 11, 10, id="after time jumped back"),
    ],
)
def test_the_nearest_stamp_is_found(stamps, wanted, found):
    assert recent(*stamps).nearest(wanted) == (found, f"item {found}")


def test_of_equal_stamps_the_latest_is_found():
    items = Recent()
    for item in "abc":
        items.put(0, item)
    assert items.nearest(0) == (0, "c")


def test_nothing_is_found_where_nothing_came():
    assert recent().nearest(10) is None


def test_items_before_the_one_that_was_found_are_forgotten():
    items = recent(10, 20, 30)
    items.nearest(20)
    assert items.nearest(10) == (20, "item 20")


def test_only_the_latest_are_kept():
    items = recent(*range(1000))
    stamp, _ = items.nearest(0)
    assert 900 < stamp < 1000


def test_what_is_expected_is_kept_until_it_is_looked_up():
    items = recent(490)
    for stamp in (494, 520):
        items.expect(stamp)
    for stamp in range(500, 1000):
        items.put(stamp, f"item {stamp}")
    assert items.nearest(494)[0] == 490
    assert items.nearest(520)[0] == 520
    for stamp in range(1000, 2000):
        items.put(stamp, f"item {stamp}")
    assert items.nearest(520)[0] > 1900


def test_what_was_expected_but_never_looked_up_takes_no_room_for_ever():
    items = recent()
    for stamp in range(1000):
        items.expect(stamp)
        items.put(stamp, f"item {stamp}")
    assert items.nearest(999)[0] == 999


def test_all_may_be_forgotten():
    items = recent(10)
    items.clear()
    assert items.nearest(10) is None
