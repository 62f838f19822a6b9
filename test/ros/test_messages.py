# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Vector3
from kp_pose_ros.msg import Keypoint, PoseArray
from kp_pose_ros.msg import Motion as MotionMsg
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header as HeaderMsg
from vision_msgs.msg import Detection2DArray

from kp_pose_ros.errors import ModelError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output import cdr
from kp_pose_ros.output.pose_reader import read_pose_array
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Motion, Poses
from kp_pose_ros.ros.messages import poses_from_msg, vocabulary_from_msg
from kp_pose_ros.skeleton import Skeleton, Vocabulary
from kp_pose_ros.space.people import PeopleMotion

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


HEADER = Header(12 * 10**9 + 34, "camera")


def poses_to_msg(poses, keypoints_3d=None, vocabulary=VOCABULARY, header=HEADER):
    """The PoseArray that a subscriber receives, as rclpy reads it."""
    content = cdr.pose_array(header, (480, 640), poses, vocabulary, keypoints_3d)
    return deserialize_message(content, PoseArray)


@pytest.mark.parametrize("frame_id", ["", "c", "ca", "cam", "came", "ä"], ids=repr)
@pytest.mark.parametrize("names", [("person",), ("p", "dog"), ("", "four")], ids=repr)
@pytest.mark.parametrize("in_space", [False, True], ids=["flat", "in space"])
@pytest.mark.parametrize("keypoints", [1, 2, 5])
def test_every_alignment_is_written_as_rclpy_writes_it(frame_id, names, in_space, keypoints):
    poses = some_poses(4)
    poses = replace(
        poses, keypoints=poses.keypoints[:, :keypoints], states=poses.states[:, :keypoints]
    )
    space = np.random.default_rng(0).random((4, keypoints, 3)) if in_space else None
    vocabulary = Vocabulary(Skeleton.generic(keypoints), names)
    header = Header(-1, frame_id)
    motion = PeopleMotion(vocabulary.skeleton.keypoint_names).update(
        poses.track_ids, np.zeros((4, keypoints, 3)) if space is None else space, 0
    )
    motion = replace(motion, frame_id=frame_id) if in_space else None
    for content, kind in (
        (
            cdr.pose_array(header, (480, 640), poses, vocabulary, space, motion=motion),
            PoseArray,
        ),
        (cdr.detections(header, poses, vocabulary), Detection2DArray),
        (cdr.skeleton(vocabulary), SkeletonMsg),
    ):
        message = deserialize_message(content, kind)
        # The padding may hold anything: compare length and fields.
        assert len(serialize_message(message)) == len(content)
        if kind is PoseArray:
            assert message.header == HeaderMsg(
                stamp=Time(sec=-1, nanosec=999_999_999), frame_id=frame_id
            )
            read = read_pose_array(np.frombuffer(serialize_message(message), np.uint8))
            assert (read.header, read.size) == (header, (480, 640))
            assert read.skeleton == vocabulary.skeleton.name
            if in_space:
                np.testing.assert_array_equal(read.keypoints_3d, space)
            for back in (poses_from_msg(message), read.poses):
                for field in FIELDS:
                    expected = getattr(poses, field)
                    np.testing.assert_allclose(getattr(back, field), expected, rtol=1e-6)


def test_motion_is_written_where_it_is_known():
    motion = Motion.unknown(3)
    motion.position[:2], motion.position_variance[:2] = ((1, 2, 3), (4, 5, 6)), (0.25, 0.5)
    motion.velocity[1], motion.velocity_variance[1] = (-1, 0, 2), 0.125
    motion = replace(motion, frame_id="odom")
    content = cdr.pose_array(HEADER, (480, 640), some_poses(3), VOCABULARY, motion=motion)
    message = deserialize_message(content, PoseArray)
    assert len(serialize_message(message)) == len(content)
    found = [person.motion for person in message.poses]
    assert [each.position_valid for each in found] == [True, True, False]
    assert [each.velocity_valid for each in found] == [False, True, False]
    assert found[1].position == Point(x=4.0, y=5.0, z=6.0)
    assert found[1].velocity == Vector3(x=-1.0, y=0.0, z=2.0)
    assert found[0].position_covariance.reshape(3, 3).tolist() == (0.25 * np.eye(3)).tolist()
    assert found[1].velocity_covariance.reshape(3, 3).tolist() == (0.125 * np.eye(3)).tolist()
    assert found[0].velocity == found[2].velocity == Vector3()
    assert not found[0].velocity_covariance.any()
    assert found[2].position == Point()
    assert [each.frame_id for each in found] == ["odom"] * 3


def test_the_tracks_that_were_joined_are_written():
    joined = [{"front": 4, "rear left": -1}, {}, {"front": 5}]
    content = cdr.pose_array(HEADER, (0, 0), some_poses(3), VOCABULARY, joined=joined)
    message = deserialize_message(content, PoseArray)
    assert len(serialize_message(message)) == len(content)
    assert from_bytes(message).track_ids.tolist() == [each.track_id for each in message.poses]
    found = [
        dict(zip(person.joined_cameras, person.joined_track_ids, strict=True))
        for person in message.poses
    ]
    assert found == joined


def from_message(message):
    return poses_from_msg(message)


def from_bytes(message):
    return read_pose_array(np.frombuffer(serialize_message(message), np.uint8)).poses


@pytest.mark.parametrize("count", [1, 2, 30])
@pytest.mark.parametrize("read", [from_message, from_bytes])
def test_poses_come_back_from_a_message_as_they_were(count, read):
    poses = some_poses(count)
    back = read(poses_to_msg(poses))
    for field in FIELDS:
        np.testing.assert_allclose(getattr(back, field), getattr(poses, field), rtol=1e-6)


def test_nobody_is_an_empty_message():
    message = poses_to_msg(Poses.empty(17))
    assert len(message.poses) == 0
    assert len(poses_from_msg(message)) == 0


def test_header_size_and_skeleton_are_in_the_message():
    message = poses_to_msg(some_poses(1))
    assert message.header == HeaderMsg(stamp=Time(sec=12, nanosec=34), frame_id="camera")
    assert (message.image_width, message.image_height) == (640, 480)
    assert message.skeleton == "coco17"


def test_positions_in_space_come_with_the_keypoints_and_unknown_ones_are_zero():
    keypoints_3d = np.arange(2 * 17 * 3).reshape(2, 17, 3) / 8
    keypoints_3d[1, 5] = np.nan
    message = poses_to_msg(some_poses(2), keypoints_3d)
    keypoints_3d[1, 5] = 0
    for person, expected in zip(message.poses, keypoints_3d, strict=True):
        positions = [(p.position.x, p.position.y, p.position.z) for p in person.keypoints_3d]
        assert positions == [tuple(each) for each in expected.tolist()]
    assert [p.valid for p in message.poses[0].keypoints_3d] == [True] * 17
    invalid = [i for i, p in enumerate(message.poses[1].keypoints_3d) if not p.valid]
    assert invalid == [5]


def test_without_depth_there_are_no_positions_in_space():
    message = poses_to_msg(some_poses(2))
    assert [len(person.keypoints_3d) for person in message.poses] == [0, 0]
    assert [person.motion for person in message.poses] == [MotionMsg()] * 2


def test_the_box_is_given_by_its_centre():
    poses = Poses(
        np.array([[10, 20, 30, 60]], np.float32),
        np.ones(1, np.float32),
        np.zeros((1, 17, 3), np.float32),
    )
    bbox = poses_to_msg(poses).poses[0].bbox
    assert (bbox.center.position.x, bbox.center.position.y) == (20.0, 40.0)
    assert (bbox.size_x, bbox.size_y, bbox.center.theta) == (20.0, 40.0, 0.0)


def test_classes_are_named_and_unknown_ones_are_not():
    poses = some_poses(3)
    poses.class_ids[:] = 0, 1, 2
    message = poses_to_msg(poses)
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
    content = cdr.detections(HEADER, poses, VOCABULARY)
    message = deserialize_message(content, Detection2DArray)
    assert [each.id for each in message.detections] == ["", "0", "7"]
    named = [each.results[0].hypothesis.class_id for each in message.detections]
    assert named == ["person", "robot", "2"]
    for index, detection in enumerate(message.detections):
        assert detection.header == message.header
        assert detection.results[0].hypothesis.score == pytest.approx(poses.scores[index])
        x1, y1, x2, y2 = poses.boxes[index].tolist()
        assert detection.bbox.center.position.x == pytest.approx((x1 + x2) / 2)
        assert detection.bbox.size_y == pytest.approx(y2 - y1)


@pytest.mark.parametrize("name", ["coco17", "face5", "hand21"])
def test_a_skeleton_comes_back_from_a_message_without_its_colours(name):
    sent = Vocabulary(Skeleton.builtin(name), ("person",))
    back = vocabulary_from_msg(deserialize_message(cdr.skeleton(sent), SkeletonMsg))
    plain = {"edge_colors": back.skeleton.edge_colors}
    plain["keypoint_colors"] = back.skeleton.keypoint_colors
    assert back == replace(sent, skeleton=replace(sent.skeleton, **plain))


@pytest.mark.parametrize(
    "edges", [pytest.param([0], id="half a pair"), pytest.param([0, 2], id="no keypoint")]
)
def test_edges_that_are_no_pairs_of_keypoints_are_refused(edges):
    message = SkeletonMsg(name="a\x1b", keypoint_names=["nose", "tail"], edges=edges)
    with pytest.raises(ModelError, match=r"skeleton 'a.*\[0.*expected pairs .* 2 keypoints"):
        vocabulary_from_msg(message)


def test_poses_that_are_not_finite_are_refused():
    message = poses_to_msg(some_poses(2))
    message.poses[1].bbox.size_x = np.inf
    with pytest.raises(ValueError, match="it has a coordinate or score that is not a finite num"):
        poses_from_msg(message)


def test_poses_of_different_skeletons_are_refused():
    message = PoseArray()
    for count in (1, 2):
        one = poses_to_msg(some_poses(1)).poses[0]
        one.keypoints = one.keypoints[:count]
        message.poses.append(one)
    with pytest.raises(ValueError, match="inhomogeneous"):
        poses_from_msg(message)
    with pytest.raises(ValueError, match="its poses have 1 to 2 keypoints"):
        from_bytes(message)
