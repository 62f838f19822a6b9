# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node logs at the level debug, in its own process."""

import re

import pytest
from peer import Peer, image_of

OVERRIDES = {
    "qos_overrides./talk/image.subscription.reliability": "reliable",
    "qos_overrides./talk/person.publisher.depth": 1,
}


@pytest.fixture(scope="module")
def log(start_node, ros_node, demo_photo):
    """The log of a node that sees people come and go."""
    options = {"imgsz": "128, 160", "tracking.max_age": 0.5, **OVERRIDES}
    level = ("--log-level", "talk.kp_pose:=debug")
    node = start_node("-r", "__ns:=/talk", *level, **options).wait_until_ready()
    camera = Peer(ros_node, "talk").connect()
    photo = demo_photo("bus.jpg")
    for _ in range(3):  # stamps are a second apart
        message = image_of(photo)
        for nanoseconds in (100, 200, 300):
            message.header.stamp.nanosec = nanoseconds
            camera.ask(message)
    for figure in ("stamp to publish", "infer"):  # the first status may come during an image
        node.wait_for_log(f"{figure} (ms): p50")
    camera.close()
    return node


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"subscribes to /talk/image .*, reliable, volatile, queue of 1", id="QoS"),
        pytest.param(r"camera: image \d+\.000 \(\d+ x \d+ bgr8\): \d+ poses", id="an image"),
        pytest.param(r"camera: track 1 begins", id="a track that begins"),
        pytest.param(r"camera: track 1 ends", id="a track that ends"),
        pytest.param(r"camera: lost on the way: 0; .*stamp to publish \(ms\): p50", id="a camera"),
        pytest.param(r"stages: .*infer \(ms\): p50 [\d.]+", id="the stages' times"),
    ],
)
def test_the_debug_log_says_what_became_of_images(log, line):
    assert any(re.search(line, each) for each in log.log_lines("[DEBUG]")), log.log


def test_an_override_without_effect_is_warned_of_once(log):
    (line,) = log.log_lines("has no effect")
    assert "'qos_overrides./talk/person.publisher.depth'" in line
