# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras come, go and change while the node runs; test_faults.py has more of it."""

import cv2
import numpy as np
import pytest
from peer import image_of, stamped
from rclpy.qos import ReliabilityPolicy

from kp_pose_ros.ros import rcl

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@pytest.fixture(scope="module")
def node(start_node):
    return start_node("-r", "__ns:=/changing").wait_until_ready()


def test_size_and_encoding_may_change_in_mid_stream(node, peer, bus):
    camera = peer("changing").connect()
    for picture, encoding in (
        (bus, "bgr8"),
        (cv2.resize(bus, (320, 240)), "bgr8"),
        (bus[..., ::-1], "rgb8"),
        (cv2.cvtColor(bus, cv2.COLOR_BGR2GRAY), "mono8"),
        (cv2.resize(bus, (1280, 960)), "bgr8"),
    ):
        answer = camera.ask(image_of(picture, encoding))
        assert (answer.image_height, answer.image_width) == picture.shape[:2]
        assert 3 <= len(answer.poses) <= 5


@pytest.mark.parametrize(
    "reliabilities",
    [
        pytest.param([BEST_EFFORT], id="best effort"),
        pytest.param([RELIABLE, BEST_EFFORT, RELIABLE], id="changing with each start"),
    ],
)
def test_a_camera_may_have_any_reliability(node, peer, bus, reliabilities):
    small = cv2.resize(bus, (320, 240), interpolation=cv2.INTER_AREA)
    for reliability in reliabilities:
        camera = peer("changing", reliability=reliability).connect()
        assert len(camera.ask(image_of(small)).poses) >= 3
        camera.close()


@pytest.mark.skipif(rcl.has_buffers(), reason="Lyrical's Fast DDS reports no lost images")
@pytest.mark.usefixtures("fast_dds")
def test_images_that_get_lost_on_the_way_are_told_with_the_mend(node, peer):
    camera = peer("changing", reliability=BEST_EFFORT).connect()
    large = image_of(np.zeros((4000, 4000, 3), np.uint8))  # more than the shared memory
    small = image_of(np.zeros((64, 96, 3), np.uint8))

    def burst():  # more than goes through the network's buffers; what follows shows the gap
        for _ in range(5):
            camera.publisher.publish(stamped(large))
        return stamped(small)

    camera.send_until(lambda: "were lost on the way" in node.log, burst)
    (line,) = node.log_lines("were lost on the way")
    assert "camera: /changing/image: " in line
    assert "large_images.xml" in line


def test_an_asked_for_reliability_that_does_not_match_is_explained(start_node, tiny, peer):
    node = start_node("-r", "__ns:=/strict", model=tiny, image_qos="reliable")
    peer("strict", reliability=BEST_EFFORT)
    node.wait_for_log("image_qos")
    (line,) = node.log_lines("image_qos")
    assert "/strict/image" in line
    assert "offers a reliability that does not match" in line
    assert "'auto'" in line


def test_a_missing_camera_is_named_with_the_topics_that_exist(start_node, tiny, peer, bus):
    others = [peer(name, results=None) for name in ("elsewhere", "waiting/rear")]
    remap = ("-r", "rear/image:=/waiting/rear/image_raw")
    node = start_node("-r", "__ns:=/waiting", *remap, model=tiny, cameras=["front", "rear"])
    for topic in ("/waiting/front/image", "/waiting/rear/image_raw"):
        node.wait_for_log(f"waiting for {topic} (")
        (line,) = node.log_lines(f"waiting for {topic} (")
        for other in others:  # also the one that was remapped away
            assert f"{other.image_topic} (sensor_msgs/msg/Image)" in line
        assert "/waiting/front/annotated" not in line
    camera = peer("waiting/front").connect()
    camera.ask(image_of(bus))
    node.wait_for_log("images arrive again on /waiting/front/image")
