# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker's own wait set, on real topics of this process."""

from collections import Counter
from itertools import count
from threading import Thread
from time import monotonic, sleep

import numpy as np
import pytest
import rclpy
from node_process import PATIENCE
from peer import image_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import read_image
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.diagnostics import Counts
from kp_pose_ros.ros.image_subscription import ImageSubscription
from kp_pose_ros.ros.rcl import WaitSet
from kp_pose_ros.ros.receive import Receiver

_topics = (f"/received_{number}" for number in count())


class Camera:
    """The part of a Camera that a Receiver uses, and the camera's driver."""

    def __init__(self, node, name):
        topic = next(_topics)
        self.name, self.wanted, self.listened = name, True, 0.0
        self.images = ImageSubscription(
            node,
            topic,
            type_name="sensor_msgs/msg/Image",
            label=name,
            qos="reliable",
            is_listening=lambda: monotonic() - self.listened < 1,
        )
        self.driver = node.create_publisher(Image, topic, 5)
        self.unwanted, self.skipped, self.counts = 0, 0, Counts()

    def is_wanted(self):
        return self.wanted

    def receive(self):
        taken = self.images.take()
        if taken is None:
            return False
        self.content, skipped = taken
        self.skipped += skipped
        self.unwanted += not self.wanted
        return self.wanted

    def send(self, value):
        self.driver.publish(image_of(np.full((8, 8), value, np.uint8), "mono8"))
        sleep(0.02)  # until it is there


@pytest.fixture
def make(ros_node):
    """Maker of a receiver of cameras of these names, and of the cameras."""
    made = []

    def make(*names, settle=lambda: None):
        cameras = [Camera(ros_node, name) for name in names]
        for camera in cameras:
            camera.images.start()
        receiver = Receiver(ros_node.context, cameras, settle)
        made.append((receiver, cameras))
        deadline = monotonic() + PATIENCE
        while not all(camera.driver.get_subscription_count() for camera in cameras):
            assert monotonic() < deadline
            sleep(0.01)
        return receiver, cameras

    yield make
    for receiver, cameras in made:
        receiver.leave()
        for camera in cameras:
            camera.images.stop()
            ros_node.destroy_publisher(camera.driver)


def values(taken):
    return [(camera.name, int(read_image(camera.content).data[0])) for camera in taken]


def in_thread(function):
    results = []
    thread = Thread(target=lambda: results.append(function()))
    thread.start()

    def end():
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return results[0]

    return end


def test_only_the_newest_image_of_a_camera_is_taken_and_the_others_are_counted(make):
    receiver, (camera,) = make("front")
    for value in (1, 2, 3):
        camera.send(value)
    assert values(receiver.take(1, is_busy=False)) == [("front", 3)]
    camera.send(4)
    camera.send(5)
    assert values(receiver.take(1, is_busy=False)) == [("front", 5)]
    assert camera.skipped == 1  # the first two came before any that was taken


def test_an_image_that_cannot_be_taken_serialized_is_taken_as_a_message(make, monkeypatch):
    """As on Lyrical."""
    monkeypatch.setattr(rcl, "has_buffers", lambda: True)
    monkeypatch.setattr(rcl._rcl(), "rcl_take_serialized_message", lambda *_: rcl._TAKE_FAILED)
    receiver, (camera,) = make("front")
    for value in (1, 2, 3, 4):
        camera.send(value)
        if value != 3:
            assert values(receiver.take(1, is_busy=False)) == [("front", value)]
    assert camera.skipped == 1
    receiver.wake()
    assert receiver.take(1, is_busy=True) == []


def test_a_message_that_cannot_be_taken_costs_only_itself(make, ros_node, monkeypatch):
    """As where its memory cannot be allocated: rmw has taken it then."""
    receiver, (camera,) = make("front")
    told, lost, take = [], [], rcl._rcl().rcl_take_serialized_message
    monkeypatch.setattr(ros_node.get_logger(), "error", told.append)
    monkeypatch.setattr(camera.images, "_on_lost", lost.append)
    camera.send(1)
    receiver.take(1, is_busy=False)
    for value in (2, 3):
        with monkeypatch.context() as failing:
            failing.setattr(rcl._rcl(), "rcl_take_serialized_message", lambda *a: take(*a) or 10)
            camera.send(value)
            receiver.wake()
            assert receiver.take(1, is_busy=True) == []
    camera.send(4)
    assert values(receiver.take(1, is_busy=False)) == [("front", 4)]
    assert (lost, camera.skipped) == ([1, 1], 0)
    (line,) = told
    assert line.startswith(f"front: a message of {camera.images.topic} cannot be taken: ")


def test_a_message_of_no_bytes_is_taken_as_such(make):
    """Fast DDS delivers it within a process only."""
    receiver, (camera,) = make("front")
    camera.driver.publish(b"")
    assert receiver.take(1, is_busy=False) == [camera]
    with pytest.raises(FrameError, match="the 0 bytes of the message are not CDR"):
        read_image(camera.content)
    camera.send(1)
    assert values(receiver.take(1, is_busy=False)) == [("front", 1)]


def test_an_image_is_taken_once(make):
    receiver, (camera,) = make("front")
    camera.send(1)
    receiver.take(1, is_busy=False)
    receiver.wake()
    assert receiver.take(1, is_busy=True) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_every_camera_gets_its_share_when_all_are_always_ready(make, limit):
    receiver, cameras = make(*"abcd")
    served = Counter()
    for _ in range(8):
        for camera in cameras:
            camera.send(1)
        served.update(name for name, _ in values(receiver.take(limit, is_busy=False)))
    assert sum(served.values()) == 8 * min(limit, 4)
    assert set(served.values()) == {8 * min(limit, 4) // 4}


def test_a_camera_that_was_silent_goes_before_one_just_served(make):
    receiver, (first, second) = make(*"ab")
    first.send(1)
    receiver.take(1, is_busy=False)
    first.send(2)
    second.send(1)
    assert values(receiver.take(1, is_busy=False)) == [("b", 1)]


def test_take_waits_for_an_image(make):
    receiver, (camera,) = make("front")
    taken = in_thread(lambda: values(receiver.take(1, is_busy=False)))
    sleep(0.05)
    camera.send(1)
    assert taken() == [("front", 1)]


def test_a_busy_worker_is_woken_when_its_batch_ends(make):
    receiver, (camera,) = make("front")
    taken = in_thread(lambda: receiver.take(1, is_busy=True))
    receiver.wake()
    assert taken() == []
    camera.send(1)
    receiver.wake()
    assert values(receiver.take(1, is_busy=True)) == [("front", 1)], "what is there goes first"


def test_an_event_of_the_middleware_does_not_end_every_wait(make, ros_node, monkeypatch):
    receiver, (camera,) = make("front")
    waits, wait = [], WaitSet.wait
    monkeypatch.setattr(WaitSet, "wait", lambda *args: waits.append(args) or wait(*args))
    other = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = ros_node.create_publisher(Image, camera.images.topic, other)  # incompatible
    taken = in_thread(lambda: receiver.take(1, is_busy=False))
    sleep(0.5)
    receiver.close()
    assert taken() == []
    ros_node.destroy_publisher(publisher)
    assert len(waits) < 50


def test_closing_ends_the_wait_now_and_from_now_on(make):
    receiver, (camera,) = make("front")
    taken = in_thread(lambda: receiver.take(1, is_busy=False))
    receiver.close()
    assert taken() == []
    camera.send(1)
    assert receiver.take(1, is_busy=False) == []


def test_what_nobody_wants_is_counted_and_not_given(make):
    receiver, (camera,) = make("front")
    camera.wanted = False
    taken = in_thread(lambda: values(receiver.take(1, is_busy=False)))
    deadline = monotonic() + PATIENCE
    while not camera.unwanted:
        assert monotonic() < deadline
        camera.send(1)
    camera.wanted = True
    camera.send(2)
    assert taken() == [("front", 2)]


def test_what_nobody_wants_is_counted_for_every_camera_whatever_the_limit(make):
    receiver, cameras = make(*"abc")
    for camera in cameras:
        camera.wanted = False
    taken = in_thread(lambda: receiver.take(1, is_busy=False))
    deadline = monotonic() + PATIENCE
    while not all(camera.unwanted for camera in cameras):
        assert monotonic() < deadline
        for camera in cameras:
            camera.send(1)
    receiver.close()
    assert taken() == []


def test_a_paused_receiver_takes_nothing_until_it_resumes(make):
    receiver, (camera,) = make("front")
    told = []
    receiver.pause(lambda: told.append("idle"))
    taken = in_thread(lambda: values(receiver.take(1, is_busy=False)))
    deadline = monotonic() + PATIENCE
    while not told:
        assert monotonic() < deadline
        sleep(0.01)
    camera.send(1)
    sleep(0.3)
    assert camera.images.take(), "it was left in the queue"
    camera.send(1)
    receiver.resume()
    assert taken() == [("front", 1)]


def test_a_pause_waits_for_what_is_worked_on_and_for_what_settles(make):
    order = []
    receiver, (camera,) = make("front", settle=lambda: order.append("settled"))
    camera.send(1)
    receiver.take(1, is_busy=False)
    receiver.pause(lambda: order.append("idle"))
    assert receiver.take(1, is_busy=True) == []
    assert order == []
    taken = in_thread(lambda: receiver.take(1, is_busy=False))
    receiver.close()
    taken()
    receiver.leave()
    assert order == ["settled", "idle"]


def test_a_pause_ends_when_the_receiver_resumes(make):
    receiver, (camera,) = make("front")
    camera.send(1)
    receiver.take(1, is_busy=False)
    told = []
    receiver.pause(lambda: told.append("over"))
    receiver.resume()
    assert told == ["over"]


def test_a_pause_ends_when_the_worker_has_left(make):
    receiver, _ = make("front")
    told = []
    receiver.leave()
    receiver.pause(lambda: told.append("idle"))
    assert told == ["idle"]
    receiver.wake()


def test_an_unsubscribed_camera_ends_no_wait_for_others(make):
    receiver, (gone, stays) = make(*"ab")
    taken = in_thread(lambda: values(receiver.take(2, is_busy=False)))
    sleep(0.05)
    gone.images.stop()
    stays.send(7)
    assert taken() == [("b", 7)]


def test_no_executor_takes_the_images(make, ros_node):
    receiver, (camera,) = make("front")
    executor = SingleThreadedExecutor()
    executor.add_node(ros_node)
    camera.send(1)
    executor.spin_once(timeout_sec=0.2)
    executor.remove_node(ros_node)
    assert values(receiver.take(1, is_busy=False)) == [("front", 1)]


def test_an_executor_that_takes_the_images_away_is_an_error(make, ros_node, monkeypatch):
    events = pytest.importorskip("rclpy.experimental", reason="not before Jazzy")
    _, (camera,) = make("front")
    told = []
    monkeypatch.setattr(ros_node.get_logger(), "error", told.append)
    executor = events.EventsExecutor()
    executor.add_node(ros_node)
    deadline = monotonic() + PATIENCE
    while not told:
        assert monotonic() < deadline
        camera.send(1)
        executor.spin_once(timeout_sec=0.05)
    camera.send(2)
    executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    (line,) = told
    assert line == f"front: {camera.images.topic}: {camera.images.fault}"
    assert "GuardedExecutor" in line


def test_the_end_of_the_context_ends_the_wait():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("alone", context=context)
    camera = Camera(node, "front")
    camera.images.start()
    receiver = Receiver(context, [camera])
    taken = in_thread(lambda: receiver.take(1, is_busy=False))
    sleep(0.05)
    context.shutdown()
    assert taken() == []
    receiver.leave()
    node.destroy_node()


def test_an_image_outlives_the_next_ones(make):
    receiver, (camera,) = make("front")
    kept = []
    for value in range(20):
        camera.send(value)
        receiver.take(1, is_busy=False)
        kept.append(camera.content)
    assert [int(read_image(content).data[0]) for content in kept] == list(range(20))


def test_a_busy_worker_can_take_what_is_there_without_waiting(make):
    receiver, (camera,) = make("front")
    assert receiver.take(1, is_busy=True, at_once=True) == []
    camera.send(1)
    assert values(receiver.take(1, is_busy=True, at_once=True)) == [("front", 1)]


def test_a_silent_camera_is_seen_while_another_keeps_the_worker_busy(make):
    receiver, (silent, busy) = make(*"ab")
    for camera in (silent, busy):
        camera.send(1)
        receiver.take(1, is_busy=False)
    ages = []
    for _ in range(10):
        busy.send(1)
        assert values(receiver.take(2, is_busy=True, at_once=True)) == [("b", 1)]
        sleep(0.03)  # in the network
        ages.append(silent.images.age())
    assert ages[-1] > 0.3
    assert busy.images.age() < 0.3


def test_an_image_that_waits_for_its_turn_has_come(make):
    receiver, (camera,) = make("front")
    camera.send(1)
    assert receiver.take(0, is_busy=True, at_once=True) == []
    assert camera.images.age() is not None
