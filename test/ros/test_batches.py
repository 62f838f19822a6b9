# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from kp_pose_ros.errors import EngineError
from kp_pose_ros.ros.batches import Batches
from kp_pose_ros.ros.mailbox import Mailbox


class Script:
    """An estimator that does what it is told, and cameras that give an image when asked for one."""

    def __init__(self, *, overlaps, done=()):
        self.engine = SimpleNamespace(max_batch=1, overlaps=overlaps)
        self.begun = []
        self.refused = []
        self._done = deque(done)
        self._next = 0
        self.mailbox = Mailbox([""])
        self.batches = iter(Batches(self.mailbox, self, self._read, self._fail))

    def image(self):
        self.mailbox.put("", self._next)
        self._next += 1

    def submit(self, frames):
        (number,) = frames
        if number == "refused":
            raise EngineError("no")
        self.begun.append(number)
        pending = Future()
        if number in self._done:
            pending.set_result(number)
        return pending

    def _read(self, taken):
        ((_, number),) = taken
        return [(None, number, number)] if number != "unreadable" else []

    def _fail(self, images, error):
        self.refused += [number for _, number, _ in images]


def test_without_overlap_one_ends_before_the_next_begins():
    script = Script(overlaps=False)
    script.image()
    assert next(script.batches).images[0][1] == 0
    script.image()
    assert script.begun == [0]
    assert next(script.batches).images[0][1] == 1


def test_with_overlap_the_next_begins_before_this_one_ends():
    script = Script(overlaps=True)
    script.mailbox.call_for_items = script.image  # a new one as often as it is wanted
    for ended in range(3):
        assert next(script.batches).images[0][1] == ended
        assert script.begun == list(range(ended + 2))


def test_what_is_done_does_not_wait_for_the_next_image():
    script = Script(overlaps=True, done=[0])
    script.image()
    assert next(script.batches).images[0][1] == 0
    assert script.begun == [0]


def test_the_taker_is_not_idle_while_a_batch_is_under_way():
    script = Script(overlaps=True, done=[0])
    idle = []
    script.image()
    next(script.batches)
    script.mailbox.pause(lambda: idle.append(True))
    assert not idle
    script.mailbox.close()
    assert list(script.batches) == []
    assert idle


def test_what_is_under_way_when_the_mailbox_closes_is_ended():
    script = Script(overlaps=True)
    script.image()
    script.mailbox.call_for_items = script.image
    next(script.batches)
    script.mailbox.close()
    assert [batch.images[0][1] for batch in script.batches] == [script.begun[1]]


@pytest.mark.parametrize("bad", ["unreadable", "refused"])
def test_what_cannot_be_begun_is_passed_over(bad):
    script = Script(overlaps=True, done=[0])
    script.mailbox.put("", bad)
    script.mailbox.call_for_items = script.image
    script.mailbox._wanted = True
    assert next(script.batches).images[0][1] == 0
    assert script.refused == ([bad] if bad == "refused" else [])
