# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from feed_messages import PAIR, poses
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray
from rclpy.serialization import serialize_message

from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.records import CameraRecords
from kp_pose_ros.ros.bridges.sender import _key
from kp_pose_ros.ros.messages import vocabulary_from_msg


@pytest.fixture
def camera(ros_node, monkeypatch):
    """The records of a camera, in this process, and the warnings in its log."""
    node = Bridge("recording")
    records, warnings = [], []
    monkeypatch.setattr(node.get_logger(), "warning", lambda text, **_: warnings.append(text))
    camera = CameraRecords(node, "r", "left", lambda record, _: records.append(record))
    camera.records, camera.warnings = records, warnings
    yield camera
    node.destroy_node()


def begin(camera):
    camera._begin(Recorder(vocabulary_from_msg(PAIR), robot="r", camera="left"))


def see(camera, message):
    camera._on_poses(serialize_message(message))


def test_a_pose_node_that_starts_again_begins_a_session(camera):
    for seconds, track_id in ((1, 7), (2, 0)):
        begin(camera)
        see(camera, poses(seconds, track_id))
    first, second = camera.records
    assert (first["seq"], second["seq"], second["gone"]) == (0, 0, [])
    assert first["session"] != second["session"]


def test_poses_that_arrive_before_the_skeleton_are_kept(camera):
    see(camera, poses(1, 7))
    begin(camera)
    assert [each["stamp_ms"] for each in camera.records] == [1000]


def test_poses_without_a_skeleton_are_no_silent_failure(camera):
    for seconds in range(100):
        assert not camera.warnings
        see(camera, poses(seconds, 7))
    assert "their skeleton was not received on '/left/skeleton'" in camera.warnings[0]


@pytest.mark.parametrize(
    ("message", "phrase"),
    [
        pytest.param(poses(2, 7, x=float("nan")), "not a finite number", id="not a number"),
        pytest.param(PoseArray(skeleton="other"), "its skeleton, other,", id="another skeleton"),
        pytest.param(
            PoseArray(skeleton="pair", poses=[KeypointPose(keypoints=[Keypoint()] * 3)]),
            "3 keypoints: expected 2",
            id="too many keypoints",
        ),
    ],
)
def test_a_message_that_contradicts_itself_is_left_out_in_one_sentence(camera, message, phrase):
    begin(camera)
    see(camera, message)
    see(camera, poses(3, 7))
    assert [each["stamp_ms"] for each in camera.records] == [3000]
    (line,) = camera.warnings
    assert phrase in line
    assert "'left/poses' was ignored" in line


def test_poses_that_cannot_be_taken_do_not_keep_a_session_from_beginning(camera, monkeypatch):
    def fail(_):
        raise rcl.MiddlewareError("no memory")

    monkeypatch.setattr(rcl, "take", fail)
    begin(camera)
    see(camera, poses(1, 7))
    assert len(camera.records) == 1


@pytest.mark.parametrize(
    ("robot", "camera"),
    [
        pytest.param("r", "left", id="plain"),
        pytest.param("r", "", id="one camera"),
        pytest.param('"r\\', "türe", id="escaped"),
    ],
)
def test_a_record_s_key_is_its_robot_and_camera(robot, camera):
    recorder = Recorder(vocabulary_from_msg(PAIR), robot=robot, camera=camera)
    record = recorder.record(Poses.empty(2), stamp=1, frame_id="", size=(48, 64))
    line = json.dumps(record, separators=(",", ":")).encode()
    assert _key(line) == f"{robot}/{camera}".encode()
    assert _key(line[:-1]) is None
    assert _key(line.replace(b"stamp", b"\0\0\0\0\0")) is None
