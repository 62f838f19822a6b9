# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from threading import Thread

import pytest

from kp_pose_ros.ros.mailbox import Mailbox


def test_only_the_newest_frame_of_a_camera_is_there():
    mailbox = Mailbox(["front"])
    assert [mailbox.put("front", number) for number in (1, 2, 3)] == [False, True, True]
    assert mailbox.take(1) == [("front", 3)]


def test_a_frame_is_taken_once():
    mailbox = Mailbox(["front", "rear"])
    mailbox.put("front", 1)
    assert mailbox.take(2) == [("front", 1)]
    assert mailbox.put("front", 2) is False


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_every_camera_gets_its_share_when_all_are_always_ready(limit):
    cameras = ["a", "b", "c", "d"]
    mailbox = Mailbox(cameras)
    served = Counter()
    for _ in range(12):
        for camera in cameras:
            mailbox.put(camera, None)
        served.update(camera for camera, _ in mailbox.take(limit))
    assert sum(served.values()) == 12 * min(limit, 4)
    assert set(served.values()) == {12 * min(limit, 4) // 4}


def test_a_camera_that_was_silent_goes_before_those_just_served():
    mailbox = Mailbox(["a", "b"])
    mailbox.put("a", 1)
    mailbox.take(1)
    mailbox.put("a", 2)
    mailbox.put("b", 1)
    assert mailbox.take(1) == [("b", 1)]


def test_take_waits_for_a_frame():
    mailbox, taken = Mailbox(["a"]), []
    taker = Thread(target=lambda: taken.extend(mailbox.take(1)))
    taker.start()
    assert taker.is_alive()
    mailbox.put("a", 1)
    taker.join(5)
    assert taken == [("a", 1)]


def test_who_works_on_something_else_waits_no_longer_than_that_takes():
    mailbox, looks = Mailbox(["a"]), iter([False, False, True])
    assert mailbox.take(1, until=lambda: next(looks)) == []
    mailbox.put("a", 1)
    assert mailbox.take(1, until=lambda: True) == [("a", 1)], "what is there goes first"


def test_a_pause_waits_for_what_is_worked_on_while_more_is_taken():
    mailbox, told = Mailbox(["a"]), []
    mailbox.put("a", 1)
    mailbox.take(1)
    mailbox.pause(lambda: told.append("idle"))
    assert mailbox.take(1, until=lambda: True) == []
    assert told == []
    mailbox.close()
    mailbox.take(1)
    assert told == ["idle"]


def test_closing_wakes_who_waits_and_drops_what_is_there():
    mailbox, taken = Mailbox(["a"]), []
    taker = Thread(target=lambda: taken.append(mailbox.take(1)))
    taker.start()
    mailbox.close()
    taker.join(5)
    assert taken == [[]]
    mailbox.put("a", 1)
    assert mailbox.take(1) == []


def test_a_paused_mailbox_keeps_nothing_and_says_what_it_dropped():
    mailbox = Mailbox(["front", "rear"])
    mailbox.put("front", 1)
    assert mailbox.pause(when_idle=list) == ["front"]
    assert mailbox.put("front", 2) is False
    mailbox.resume()
    mailbox.put("rear", 3)
    assert mailbox.take(2) == [("rear", 3)]


def test_a_pause_tells_when_what_was_taken_is_done():
    mailbox, told = Mailbox(["front"]), []
    mailbox.pause(lambda: told.append("nothing was taken"))
    mailbox.resume()
    mailbox.put("front", 1)
    mailbox.take(1)
    mailbox.pause(lambda: told.append("what was taken is done"))
    assert told == ["nothing was taken"]
    mailbox.close()
    mailbox.take(1)
    assert told == ["nothing was taken", "what was taken is done"]


def test_a_pause_ends_when_the_taker_leaves_in_the_middle_of_its_work():
    mailbox, told = Mailbox(["front"]), []
    mailbox.put("front", 1)
    mailbox.take(1)
    mailbox.pause(lambda: told.append("idle"))
    mailbox.leave()
    assert told == ["idle"]
    assert mailbox.put("front", 2) is False
