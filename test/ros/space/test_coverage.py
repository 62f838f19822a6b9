# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node publishes on `coverage` once a camera_info has arrived."""

from time import monotonic
from types import SimpleNamespace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from kp_pose_ros.msg import Coverage
from node_process import PATIENCE
from peer import image_of
from sensor_msgs.msg import CameraInfo

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.ros.space.coverage import CoverageTopic
from kp_pose_ros.space.coverage import LEAST_HEIGHT, PERSON_HEIGHT, RECALL

FOCAL = 500.0
FACT = "detects a person of 1.7 m up to (m)"


def info(width=640, height=480):
    return CameraInfo(
        width=width, height=height, k=[FOCAL, 0, 319.5, 0, FOCAL, 239.5, 0, 0, 1],
        distortion_model="plumb_bob", d=[0.0] * 5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def node(start_node):
    return start_node("-r", "__ns:=/reach").wait_until_ready()


@pytest.fixture
def facts(ros_node):
    """The camera's reach in /diagnostics, the latest last."""
    found = []

    def take(message):
        found.extend(
            each.value
            for status in message.status
            if status.name == "reach/kp_pose: camera"
            for each in status.values
            if each.key == FACT
        )

    subscription = ros_node.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
    yield found
    ros_node.destroy_subscription(subscription)


def test_with_a_transform_it_says_which_part_of_the_floor_is_covered(ros_node):
    ahead = np.array(((0.0, 0, 1), (-1, 0, 0), (0, -1, 0)))  # from the optical frame to z up
    poses = {100: (ahead, np.array((0.0, 0.0, 1.0)))}  # by stamp
    transforms = SimpleNamespace(frame_id="odom", at=lambda header: poses.get(header.stamp))
    topic, found = CoverageTopic(ros_node, "floor/", "camera", transforms), {}
    subscription = ros_node.create_subscription(
        Coverage, "floor/coverage", lambda each: found.update({each.header.stamp.nanosec: each}), 10
    )
    calibration = ros_node.create_publisher(CameraInfo, "floor/camera_info", 1)
    topic.start()
    topic.expect((480, 640), lambda size: size[1])
    deadline = monotonic() + PATIENCE
    while len(found) < 2:
        assert monotonic() < deadline
        calibration.publish(info())
        rclpy.spin_once(ros_node, timeout_sec=0.05)
        topic.watch()
        for stamp in (100, 200):
            topic.publish(Header(stamp, "camera"))
    topic.stop()
    topic.close()
    ros_node.destroy_publisher(calibration)
    ros_node.destroy_subscription(subscription)
    floor = found[100].floor
    assert (floor.header.frame_id, floor.header.stamp.nanosec) == ("odom", 100)
    # The lower edge of the image meets the floor where 1 m is 240 pixels.
    assert min(each.x for each in floor.polygon.points) == pytest.approx(500 / 240)
    farthest = max(each.x for each in floor.polygon.points)
    assert farthest == pytest.approx(found[100].max_distance, rel=0.01)
    assert (found[200].floor.header.frame_id, found[200].floor.polygon.points) == ("", [])


def test_a_stopped_camera_receives_no_camera_info(ros_node):
    topic = CoverageTopic(ros_node, "stopped/", "camera", None)
    topic.start()
    topic.stop()
    topic._calibration.info = info(320, 240)
    topic.expect((480, 640), lambda size: size[1])
    topic.watch()
    topic.close()
    assert not ros_node.get_subscriptions_info_by_topic("stopped/camera_info")


def test_coverage_comes_with_each_image_once_camera_info_has_come(node, peer, ros_node, bus, facts):
    camera = peer("reach", results=Coverage, topic="coverage").connect()
    camera.send_until(lambda: facts, lambda: image_of(bus))
    assert facts[-1] == "unknown without camera_info"
    assert camera.received == []
    calibration = ros_node.create_publisher(CameraInfo, "/reach/camera_info", 1)

    def send(message):
        calibration.publish(message)
        return image_of(bus)

    camera.send_until(
        lambda: "is for images of 320 x 240" in facts[-1], lambda: send(info(320, 240))
    )
    assert camera.received == []
    camera.send_until(lambda: camera.received, lambda: send(info()))
    found = camera.received[-1]
    assert found.header.frame_id == "camera_optical_frame"
    assert found.header.stamp.nanosec == 123456789
    assert found.max_distance == pytest.approx(FOCAL * PERSON_HEIGHT / LEAST_HEIGHT)
    assert found.recall == pytest.approx(RECALL)
    assert np.tan((found.left, found.right)) == pytest.approx((-0.64, 0.64))
    camera.send_until(lambda: facts[-1] == f"{found.max_distance:.1f}", lambda: image_of(bus))
    # One camera_info is enough: they come as often as the images.
    camera.spin_until(lambda: not calibration.get_subscription_count())
    ros_node.destroy_publisher(calibration)
