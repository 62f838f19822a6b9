# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from kp_pose_ros.msg import Keypoint, PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.ros.messages import (
    Vocabulary,
    detections_to_msg,
    poses_from_msg,
    poses_to_msg,
    skeleton_from_msg,
    skeleton_to_msg,
)
from kp_pose_ros.skeleton import Skeleton

VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ("person", "robot"))
FIELDS = ("boxes", "scores", "keypoints", "class_ids", "track_ids", "track_ages", "states")


def some_poses(count):
    random = np.random.default_rng(count)
    corners = random.random((count, 2, 2), np.float32) * 600
    return Poses(
        boxes=np.hstack((corners.min(axis=1), corners.max(axis=1))).astype(np.float32),
        scores=random.random(count, np.float32),
        keypoints=random.random((count, 17, 3), np.float32),
        class_ids=random.integers(0, 2, count).astype(np.int32),
        track_ids=random.integers(-1, 9, count).astype(np.int32),
        track_ages=random.integers(0, 10**12, count) * 1e-9,
        states=random.integers(0, 3, (count, 17)).astype(np.uint8),
    )


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("count", [1, 2, 30])
def test_poses_come_back_from_a_message_as_they_were(count):
    poses = some_poses(count)
    message = poses_to_msg(poses, Header(), (480, 640), VOCABULARY)
    back = poses_from_msg(through_the_wire(message))
    for field in FIELDS:
        np.testing.assert_allclose(getattr(back, field), getattr(poses, field), rtol=1e-6)


def test_nobody_is_an_empty_message():
    message = poses_to_msg(Poses.empty(17), Header(), (480, 640), VOCABULARY)
    assert len(through_the_wire(message).poses) == 0
    assert len(poses_from_msg(message)) == 0


def test_header_size_and_skeleton_are_in_the_message():
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 12, 34
    message = through_the_wire(poses_to_msg(some_poses(1), header, (480, 640), VOCABULARY))
    assert message.header == header
    assert (message.image_width, message.image_height) == (640, 480)
    assert message.skeleton == "coco17"


def test_places_in_space_come_with_the_keypoints_and_unknown_ones_are_zero():
    places = np.arange(2 * 17 * 3).reshape(2, 17, 3) / 8
    places[1, 5] = np.nan
    message = through_the_wire(
        poses_to_msg(some_poses(2), Header(), (480, 640), VOCABULARY, places)
    )
    places[1, 5] = 0
    for person, expected in zip(message.poses, places, strict=True):
        positions = [(p.position.x, p.position.y, p.position.z) for p in person.keypoints_3d]
        assert positions == [tuple(each) for each in expected.tolist()]
    assert [p.valid for p in message.poses[0].keypoints_3d] == [True] * 17
    invalid = [i for i, p in enumerate(message.poses[1].keypoints_3d) if not p.valid]
    assert invalid == [5]


def test_without_depth_there_are_no_places_in_space():
    message = poses_to_msg(some_poses(2), Header(), (480, 640), VOCABULARY)
    assert [len(person.keypoints_3d) for person in message.poses] == [0, 0]


def test_the_box_is_given_by_its_centre():
    poses = Poses(
        np.array([[10, 20, 30, 60]], np.float32),
        np.ones(1, np.float32),
        np.zeros((1, 17, 3), np.float32),
    )
    bbox = poses_to_msg(poses, Header(), (480, 640), VOCABULARY).poses[0].bbox
    assert (bbox.center.position.x, bbox.center.position.y) == (20.0, 40.0)
    assert (bbox.size_x, bbox.size_y, bbox.center.theta) == (20.0, 40.0, 0.0)


def test_classes_are_named_and_unknown_ones_are_not():
    poses = some_poses(3)
    poses.class_ids[:] = 0, 1, 2
    message = poses_to_msg(poses, Header(), (480, 640), VOCABULARY)
    assert [each.class_name for each in message.poses] == ["person", "robot", ""]


def test_states_have_the_numbers_of_the_message():
    assert (ABSENT, OBSERVED, PREDICTED) == (
        Keypoint.ABSENT,
        Keypoint.OBSERVED,
        Keypoint.PREDICTED,
    )


def test_detections_have_the_boxes_names_and_track_ids():
    poses = some_poses(3)
    poses.class_ids[:], poses.track_ids[:] = (0, 1, 2), (-1, 0, 7)
    header = Header(frame_id="camera")
    message = through_the_wire(detections_to_msg(poses, header, VOCABULARY))
    assert isinstance(message, Detection2DArray)
    assert [each.id for each in message.detections] == ["", "0", "7"]
    named = [each.results[0].hypothesis.class_id for each in message.detections]
    assert named == ["person", "robot", "2"]
    for index, detection in enumerate(message.detections):
        assert detection.header == header
        assert detection.results[0].hypothesis.score == pytest.approx(poses.scores[index])
        x1, y1, x2, y2 = poses.boxes[index].tolist()
        assert detection.bbox.center.position.x == pytest.approx((x1 + x2) / 2)
        assert detection.bbox.size_y == pytest.approx(y2 - y1)


@pytest.mark.parametrize("name", ["coco17", "face5", "hand21"])
def test_a_skeleton_comes_back_from_a_message_without_its_colours(name):
    skeleton = Skeleton.builtin(name)
    message = through_the_wire(skeleton_to_msg(Vocabulary(skeleton, ("person",))))
    assert isinstance(message, SkeletonMsg)
    assert list(message.class_names) == ["person"]
    back = skeleton_from_msg(message)
    assert (back.name, back.keypoint_names, back.edges) == (
        skeleton.name,
        skeleton.keypoint_names,
        skeleton.edges,
    )


def test_poses_of_different_skeletons_are_refused():
    message = PoseArray()
    for count in (1, 2):
        one = poses_to_msg(some_poses(1), Header(), (480, 640), VOCABULARY).poses[0]
        one.keypoints = one.keypoints[:count]
        message.poses.append(one)
    with pytest.raises(ValueError, match="inhomogeneous"):
        poses_from_msg(message)
