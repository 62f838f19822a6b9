# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import rclpy

from kp_pose_ros.ros.camera import TRANSPORTS
from kp_pose_ros.ros.image_subscription import ImageSubscription, Untaken


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
            subscription = ImageSubscription(
                node,
                TRANSPORTS[transport].topic(node, f"{camera}/image"),
                type_name=TRANSPORTS[transport].type_name,
                label=camera,
                qos="auto",
                group=Untaken(),
                is_listening=lambda: True,
            )
            subscription.start()
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
