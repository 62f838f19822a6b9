# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import gc
from time import monotonic, sleep

import numpy as np
import pytest
import rclpy
from kp_pose_ros.msg import PoseArray
from node_process import PATIENCE
from peer import image_of
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from kp_pose_ros.image.topics import TRANSPORTS
from kp_pose_ros.ros import image_subscription
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.image_subscription import ImageSubscription
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.transports import topic_of


def subscribed(node, camera, transport="raw"):
    subscription = ImageSubscription(
        node,
        topic_of(TRANSPORTS[transport], node, f"{camera}/image"),
        type_name=TRANSPORTS[transport].type_name,
        label=camera,
        qos="auto",
        is_listening=lambda: True,
    )
    subscription.start()
    return subscription


@pytest.fixture
def topics(ros_node):
    """Maker of the topics that cameras of a node with remapping rules subscribe to."""
    nodes = []

    def make(rules, *cameras, transport="raw"):
        words = [word for rule in rules for word in ("-r", rule)]
        node = rclpy.create_node("remapped", cli_args=["--ros-args", *words])
        nodes.append(node)
        found = []
        for camera in cameras:
            subscription = subscribed(node, camera, transport)
            found.append((subscription.topic, subscription.current.topic_name))
            subscription.watch()
            subscription.stop()
        return found

    yield make
    for node in nodes:
        node.destroy_node()


SWAP = ["left/image:=/right/image", "right/image:=/left/image"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], ["/left/image", "/right/image"], id="no rule"),
        pytest.param(SWAP, ["/right/image", "/left/image"], id="two cameras that are swapped"),
        pytest.param(
            ["left/image:=/a", "/a:=/b"], ["/a", "/right/image"], id="a chain is followed once"
        ),
    ],
)
def test_a_remapping_rule_is_applied_once(topics, rules, expected):
    assert topics(rules, "left", "right") == [(each, each) for each in expected]


def test_a_remapped_image_takes_its_compressed_form_along(topics):
    (found,) = topics(["left/image:=/front/picture"], "left", transport="compressed")
    assert found == ("/front/picture/compressed", "/front/picture/compressed")


def test_a_topic_that_ends_in_compressed_is_subscribed_as_it_is(topics):
    (found,) = topics(["left/image:=/front/compressed"], "left", transport="compressed")
    assert found == ("/front/compressed", "/front/compressed")


@pytest.fixture
def camera(ros_node, monkeypatch):
    """Maker of a camera of a node of its own, with what is logged of it."""
    gc.collect()  # on Lyrical, rclpy 10.0.10 frees the nodes of earlier tests only then
    made = []

    def make(**parameters):
        node = rclpy.create_node("watcher", namespace="watched")
        told = []
        for level in ("warning", "info"):
            monkeypatch.setattr(node.get_logger(), level, told.append)
        made.append((node, Camera(node, "", Parameters.from_values(parameters), None)))
        return made[-1][1], told

    yield make
    for node, camera in made:
        camera.close()
        node.destroy_node()


def wait_for(condition):
    deadline = monotonic() + PATIENCE
    while not (found := condition()):
        assert monotonic() < deadline
        sleep(0.02)
    return found


@pytest.mark.parametrize(
    ("asked", "kind", "topic", "advice"),
    [
        pytest.param(
            "raw", CompressedImage, "image/compressed", "'compressed'", id="only a compressed image"
        ),
        pytest.param("compressed", Image, "image", "'raw'", id="only a raw image"),
        pytest.param("raw", Image, "other/image", None, id="an image of another name"),
        pytest.param("raw", PoseArray, "image/compressed", None, id="no image"),
    ],
)
def test_a_camera_of_another_transport_is_named_with_the_parameter_that_reads_it(
    camera, ros_node, monkeypatch, asked, kind, topic, advice
):
    monkeypatch.setattr(image_subscription, "SILENCE", 0.0)
    driver = ros_node.create_publisher(kind, f"/watched/{topic}", 1)
    watched, told = camera(image_transport=asked)
    wait_for(lambda: watched.images._node.count_publishers(f"/watched/{topic}"))
    watched.start()
    watched.listened = monotonic()
    watched.watch()
    ros_node.destroy_publisher(driver)
    (warning,) = told
    assert "no node publishes it" in warning
    if advice is None:
        assert "image_transport" not in warning
    else:
        assert f"/watched/{topic} has a publisher: set the parameter image_transport" in warning
        assert f"to {advice} (pose.launch.py: image_transport:=" in warning


def test_two_nodes_that_publish_on_one_topic_are_named_until_one_ends(ros_node, camera):
    wait_for(lambda: not ros_node.count_publishers("/watched/poses"))  # of earlier tests
    (watched, told), (other, _) = camera(), camera()
    wait_for(lambda: (watched.watch(), told)[1])
    watched.watch()
    (warning,) = told
    assert "/watched/poses has 2 publishers, of the nodes /watched/watcher, /watched" in warning
    other.close()
    wait_for(lambda: (watched.watch(), told[1:])[1])
    assert "no other node publishes its poses any more" in told[1]
    assert len(told) == 2


@pytest.mark.parametrize("begins", ["before the camera", "after the camera"])
def test_an_image_that_was_sent_once_is_heard(ros_node, camera, begins):
    watched, _ = camera()
    if begins == "before the camera":
        watched.start()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    driver = ros_node.create_publisher(Image, "/watched/image", latched)
    driver.publish(image_of(np.zeros((48, 64, 3), np.uint8)))
    wait_for(lambda: watched.images._node.count_publishers("/watched/image"))
    watched.start()
    assert wait_for(lambda: (watched.watch(), watched.images.take())[1])
    ros_node.destroy_publisher(driver)


def test_images_that_nobody_needs_do_not_count_as_dropped(ros_node, camera):
    watched, _ = camera()
    watched.counts.processed = 1  # so that its poses need a subscriber
    driver = ros_node.create_publisher(Image, "/watched/image", 1)
    watched.start()
    wait_for(driver.get_subscription_count)
    for count in (1, 3):
        for _ in range(count):
            driver.publish(image_of(np.zeros((48, 64, 3), np.uint8)))
            sleep(0.05)
        wait_for(lambda: not watched.receive() and watched.counts.unwanted)
    ros_node.destroy_publisher(driver)
    assert (watched.counts.received, watched.counts.unwanted) == (4, 4)
    assert watched.counts.dropped == 0


def test_depth_is_not_received_once_nobody_needs_poses_even_if_images_stop(camera):
    watched, _ = camera(**{"depth.enabled": True})
    watched.start()
    watched.depth.want(True)
    watched.watch()
    assert watched.depth._gate.is_open, "the first image is always processed"
    watched.counts.processed = 1
    watched.watch()
    assert not watched.depth._gate.is_open


def test_depth_is_not_received_while_the_camera_is_stopped(camera):
    watched, _ = camera(**{"depth.enabled": True})
    watched.start()
    watched.stop()
    watched._want_others(True)  # for the last image, in the worker's thread
    watched.watch()
    assert not watched.depth._gate.is_open


MANY = [f"p{index} 1" for index in range(9)]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param(["a 5", "a 6"], "0! 0", id="one publisher"),
        pytest.param(["a 5", "a 8"], "0! 2!", id="two images were skipped"),
        pytest.param(["a 1", "b 7", "a 2", "b 8"], "0! 0! 0 0", id="two publishers in turns"),
        pytest.param(["a 1", "b 7", "a 4", "b 8"], "0! 0! 2! 0", id="one of two has a gap"),
        pytest.param(["a 9", "b 1", "b 2"], "0! 0! 0", id="a camera that restarted"),
        pytest.param(["a 9", "again", "a 30", "a 31"], "0! 0! 0", id="a pause"),
        pytest.param([*MANY, "p8 2", "p0 9"], "0! " * 9 + "0 0!", id="the oldest is forgotten"),
        pytest.param(["a None", "a None"], "0 0", id="no numbers"),
        pytest.param(["a 1", "lost 2", "a 5", "a 7"], "0! 1! 1!", id="two of three lost"),
        pytest.param(["a 1", "lost 2", "a 2", "a 5"], "0! 0 0!", id="lost while one waits"),
        pytest.param(["lost 3", "a 4", "a 6"], "0! 1!", id="lost before the first"),
        pytest.param(
            ["b 1", "a 1", "lost 2", "b 2", "b 4"], "0! 0! 0 1!", id="the last ones of another lost"
        ),
    ],
)
def test_images_that_are_missing_are_counted_by_publisher(
    ros_node, monkeypatch, messages, expected
):
    subscription, found = subscribed(ros_node, "numbered"), []
    for each in messages:
        if each == "again":
            subscription.stop()
            subscription.start()
            continue
        publisher, number = each.split()
        if publisher == "lost":
            subscription._lose(int(number))
            continue
        taken = b"", publisher.encode(), None if number == "None" else int(number)
        monkeypatch.setattr(image_subscription.rcl, "take", lambda _, taken=taken: taken)
        _, skipped = subscription.take()
        found.append(f"{skipped}{'!' * subscription.is_gap}")
    subscription.stop()
    assert " ".join(found) == expected.strip()


def test_an_image_of_a_subscription_that_has_just_been_replaced_begins_no_gap(
    ros_node, monkeypatch
):
    """The executor follows a publisher's QoS while the worker takes an image."""
    subscription = subscribed(ros_node, "replaced")
    numbers = iter([5, 9, 10])

    def take(_):
        number = next(numbers)
        if number == 5:
            subscription.stop()
            subscription.start()
        return b"", b"a", number

    monkeypatch.setattr(image_subscription.rcl, "take", take)
    assert [subscription.take()[1] for _ in range(3)] == [0, 0, 0]
    subscription.stop()
