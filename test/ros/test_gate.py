# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from kp_pose_ros.ros.gate import Gate
from kp_pose_ros.ros.mailbox import Mailbox


def test_a_gate_is_open_as_long_as_its_condition_holds():
    is_open = [True]
    gate = Gate(lambda: is_open[0])
    assert gate.can_execute(None)
    assert gate.beginning_execution(None)
    is_open[0] = False
    assert not gate.can_execute(None)
    assert not gate.beginning_execution(None)


def test_one_camera_is_wanted_only_when_the_taker_is_ready():
    calls = []
    mailbox = Mailbox(["front"], lambda: calls.append("wanted"))
    assert not mailbox.wants("front")
    mailbox.call_for_items()
    assert mailbox.wants("front")
    mailbox.put("front", "image")
    assert mailbox.wants("front"), "a newer one may still replace it"
    mailbox.take(1)
    assert not mailbox.wants("front")
    assert calls == ["wanted"]


def test_of_several_cameras_each_may_leave_one_for_the_next_batch():
    mailbox = Mailbox(["front", "rear"])
    mailbox.put("front", "image")
    mailbox.take(2)
    assert mailbox.wants("front")
    mailbox.put("front", "next image")
    assert not mailbox.wants("front")
    assert mailbox.wants("rear")


def test_a_taker_that_waits_calls_for_items():
    calls = []
    mailbox = Mailbox(["front"], lambda: calls.append("wanted"))
    mailbox.put("front", "image")
    assert mailbox.take(1) == [("front", "image")]
    assert calls == ["wanted"]
