# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker, MarkerArray

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output.drawing import person_color
from kp_pose_ros.poses import UNTRACKED, Poses
from kp_pose_ros.ros.messages import header_to_msg
from kp_pose_ros.ros.space.markers import Markers
from kp_pose_ros.skeleton import Skeleton, Vocabulary

VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ("person",))
HEADER = Header(12 * 10**9 + 34, "camera_optical_frame")


def people(*track_ids):
    count = len(track_ids)
    return Poses(
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.ones((count, 17, 3), np.float32),
        track_ids=np.array(track_ids, np.int32),
    )


def places_of(poses):
    return np.random.default_rng(len(poses)).uniform((-1, -1, 2), (1, 1, 3), (len(poses), 17, 3))


def shown(poses, places=None, markers=None):
    """The markers for poses, by namespace and id, as RViz receives them."""
    places = places_of(poses) if places is None else places
    message = (markers or Markers()).build(HEADER, poses, places, VOCABULARY)
    message = deserialize_message(serialize_message(message), MarkerArray)
    return {(each.ns, each.id): each for each in message.markers}


def test_each_person_has_dots_limbs_and_a_label_in_the_images_frame():
    found = shown(people(4, 7))
    assert {key: each.type for key, each in found.items()} == {
        (space, number): kind
        for number in (4, 7)
        for space, kind in (
            ("keypoints", Marker.SPHERE_LIST),
            ("limbs", Marker.LINE_LIST),
            ("labels", Marker.TEXT_VIEW_FACING),
        )
    }
    assert all(each.action == Marker.ADD for each in found.values())
    assert all(each.header == header_to_msg(HEADER) for each in found.values())
    assert found["labels", 7].text == "person 7"


def test_dots_and_limbs_are_where_the_keypoints_are():
    poses = people(1)
    places = places_of(poses)
    found = shown(poses, places)
    dots = [(p.x, p.y, p.z) for p in found["keypoints", 1].points]
    np.testing.assert_allclose(dots, places[0])
    ends = [(p.x, p.y, p.z) for p in found["limbs", 1].points]
    expected = places[0, np.array(VOCABULARY.skeleton.edges).ravel()]
    np.testing.assert_allclose(ends, expected)


def test_the_label_is_above_the_head():
    poses = people(1)
    places = places_of(poses)
    label = shown(poses, places)["labels", 1]
    assert label.pose.position.y < places[0, :, 1].min()
    assert label.pose.position.x == pytest.approx(places[0, :, 0].mean())


def test_keypoints_without_a_place_are_left_out_with_their_limbs():
    poses = people(1)
    places = places_of(poses)
    wrist = VOCABULARY.skeleton.keypoint_names.index("left_wrist")
    places[0, wrist] = np.nan
    found = shown(poses, places)
    assert len(found["keypoints", 1].points) == 16
    without = [edge for edge in VOCABULARY.skeleton.edges if wrist not in edge]
    assert len(found["limbs", 1].points) == 2 * len(without)


def test_a_single_keypoint_has_no_limbs():
    poses = people(1)
    places = np.full((1, 17, 3), np.nan)
    places[0, 3] = 0, 0, 2
    assert set(shown(poses, places)) == {("keypoints", 1), ("labels", 1)}


def test_people_without_any_place_are_not_shown():
    poses = people(1, 2)
    places = places_of(poses)
    places[0] = np.nan
    assert {number for _, number in shown(poses, places)} == {2}


def test_people_have_the_colours_that_tracks_have_on_the_annotated_image():
    poses = people(4, 7)
    found = shown(poses)
    for index, number in enumerate((4, 7)):
        color = found["limbs", number].color
        bgr = [round(value * 255) for value in (color.b, color.g, color.r)]
        assert bgr == list(person_color(poses, index))
        assert color.a == 1


def test_whoever_is_gone_is_deleted_once():
    markers = Markers()
    shown(people(4, 7), markers=markers)
    found = shown(people(7), markers=markers)
    gone = {key for key, each in found.items() if each.action == Marker.DELETE}
    assert gone == {("keypoints", 4), ("limbs", 4), ("labels", 4)}
    assert {number for _, number in shown(people(7), markers=markers)} == {7}


def test_untracked_people_are_told_apart_and_have_no_number():
    found = shown(people(UNTRACKED, UNTRACKED, 3))
    labels = {number: each.text for (space, number), each in found.items() if space == "labels"}
    assert len(labels) == 3
    assert sorted(labels.values()) == ["person", "person", "person 3"]


def test_markers_of_a_node_that_died_end_by_themselves():
    lifetimes = {
        each.lifetime.sec + each.lifetime.nanosec * 1e-9 for each in shown(people(1)).values()
    }
    assert 0 < min(lifetimes) <= max(lifetimes) < 1
