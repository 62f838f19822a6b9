# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in a bag are those that the node publishes."""

import json
from pathlib import Path

import pytest
from ament_index_python import get_package_share_directory
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from test_conversions import some_poses

from kp_pose_ros.bags.definitions import make_typestore
from kp_pose_ros.bags.encoder import Encoder
from kp_pose_ros.ros.messages import (
    Vocabulary,
    detections_to_msg,
    poses_to_msg,
    skeleton_to_msg,
)
from kp_pose_ros.skeleton import Skeleton

VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ("person", "robot"))
STORE = make_typestore()


@pytest.fixture
def encoder():
    return Encoder(STORE, VOCABULARY.skeleton, VOCABULARY.class_names)


@pytest.fixture
def header():
    header = Header(frame_id="camera_optical_frame")
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    return header


def as_rosbags(header):
    return STORE.deserialize_cdr(serialize_message(header), "std_msgs/msg/Header")


def assert_same(content, message):
    """Compare with what rclpy writes. Not byte by byte: it leaves padding as it finds it."""
    serialized = serialize_message(message)
    assert len(content) == len(serialized)
    kind = type(message)
    assert deserialize_message(content, kind) == deserialize_message(serialized, kind)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_poses_are_the_nodes(encoder, header, count):
    poses = some_poses(count)
    content = encoder.poses(poses, as_rosbags(header), (480, 640))
    assert_same(content, poses_to_msg(poses, header, (480, 640), VOCABULARY))


@pytest.mark.parametrize("count", [0, 5])
def test_detections_are_the_nodes(encoder, header, count):
    poses = some_poses(count)
    content = encoder.detections(poses, as_rosbags(header))
    assert_same(content, detections_to_msg(poses, header, VOCABULARY))


def test_the_skeleton_is_the_nodes(encoder):
    assert_same(encoder.skeleton(), skeleton_to_msg(VOCABULARY))


@pytest.mark.parametrize("name", ["Keypoint", "KeypointPose", "PoseArray", "Skeleton"])
def test_definitions_have_the_hashes_that_ros_gives_them(name):
    description = Path(get_package_share_directory("kp_pose_ros"), "msg", f"{name}.json")
    if not description.is_file():
        pytest.skip("this distribution has no type hashes yet")
    hashes = json.loads(description.read_text())["type_hashes"]
    expected = {each["type_name"]: each["hash_string"] for each in hashes}
    type_name = f"kp_pose_ros/msg/{name}"
    assert STORE.hash_rihs01(type_name) == expected[type_name]
