# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys
from pathlib import Path
from time import thread_time

import numpy as np
import pytest

pytest.importorskip("foxglove_msgs", reason="foxglove_msgs is not installed in this distribution")

from foxglove_msgs.msg import ImageAnnotations, PointsAnnotation
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray, Skeleton
from rclpy.serialization import deserialize_message, serialize_message

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.jpeg import encode_jpeg
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.output.cdr import pose_array
from kp_pose_ros.output.drawing import Annotator, person_color
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED
from kp_pose_ros.ros.bridges.annotations import annotations_in
from kp_pose_ros.ros.messages import poses_from_msg
from kp_pose_ros.ros.qos import LATCHED, RESULTS

MODULE = "kp_pose_ros.ros.bridges.annotations"
LAYOUT = Path(__file__).parents[3] / "config" / "foxglove.json"
EDGES = (0, 1, 1, 2)
# Runs it as if nobody had installed foxglove_msgs.
WITHOUT = f"""
import sys
sys.modules["foxglove_msgs"] = None
import {MODULE} as it
sys.exit(it.main())
"""


def person(*states, track_id=7):
    """A person whose keypoints are at (0, 0), (10, 5), (20, 10), ..."""
    pose = KeypointPose(track_id=track_id, class_name="person", score=0.75)
    pose.bbox.center.position.x, pose.bbox.center.position.y = 50.0, 40.0
    pose.bbox.size_x, pose.bbox.size_y = 20.0, 60.0
    pose.keypoints = [
        Keypoint(x=10.0 * index, y=5.0 * index, score=0.9, state=state)
        for index, state in enumerate(states)
    ]
    return pose


def array(*people):
    message = PoseArray(image_width=1280, image_height=720, skeleton="three", poses=people)
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 34
    return message


def points(annotation):
    return [(each.x, each.y) for each in annotation.points]


def test_a_person_is_a_box_limbs_keypoints_and_a_label():
    message = array(person(OBSERVED, PREDICTED, OBSERVED))
    found = annotations_in(message, EDGES)
    box, limbs, dots = found.points
    assert (box.type, limbs.type, dots.type) == (
        PointsAnnotation.LINE_LOOP,
        PointsAnnotation.LINE_LIST,
        PointsAnnotation.POINTS,
    )
    assert points(box) == [(40, 10), (60, 10), (60, 70), (40, 70)]
    assert points(limbs) == [(0, 0), (10, 5), (10, 5), (20, 10)]
    assert points(dots) == [(0, 0), (10, 5), (20, 10)]
    (label,) = found.texts
    assert (label.text, label.position.x, label.position.y) == ("person 7 0.75", 40, 10)
    color = label.background_color
    assert [round(255 * each) for each in (color.b, color.g, color.r)] == list(
        person_color(poses_from_msg(message), 0)
    )


def test_all_have_the_stamp_of_the_image():
    found = annotations_in(array(person(OBSERVED, OBSERVED, OBSERVED)), EDGES)
    for each in (found, *found.points, *found.texts):
        assert (each.timestamp.sec, each.timestamp.nanosec) == (12, 34)


@pytest.mark.parametrize(
    ("states", "edges", "kinds"),
    [
        pytest.param((ABSENT,) * 3, EDGES, ["LINE_LOOP"], id="no keypoint"),
        pytest.param((OBSERVED, ABSENT, OBSERVED), EDGES, ["LINE_LOOP", "POINTS"], id="no limb"),
        pytest.param((OBSERVED,) * 3, (), ["LINE_LOOP", "POINTS"], id="no skeleton yet"),
        pytest.param((OBSERVED,) * 3, (0, 9), ["LINE_LOOP", "POINTS"], id="another skeleton"),
    ],
)
def test_what_was_not_seen_is_not_drawn(states, edges, kinds):
    found = annotations_in(array(person(*states)), edges)
    assert [each.type for each in found.points] == [getattr(PointsAnnotation, k) for k in kinds]


def test_nobody_is_an_empty_message_which_clears_the_image():
    found = annotations_in(array(), EDGES)
    assert (found.points, found.texts, found.timestamp.sec) == ([], [], 12)


def test_poses_are_received_only_for_a_subscriber(start_program, ros_node, peer):
    node = start_program(MODULE, "-r", "__ns:=/seen")
    node.wait_for_log("ready: publishes the people in")
    peer = peer("seen", results=None)
    poses = ros_node.create_publisher(PoseArray, "/seen/poses", RESULTS)
    skeleton = ros_node.create_publisher(Skeleton, "/seen/skeleton", LATCHED)
    skeleton.publish(Skeleton(name="three", edges=EDGES))
    peer.spin_for(0.4)  # it looks ten times a second
    assert poses.get_subscription_count() == 0
    received = []
    viewer = ros_node.create_subscription(
        ImageAnnotations, "/seen/annotations", received.append, RESULTS
    )
    peer.spin_until(poses.get_subscription_count)
    uneven = array(person(OBSERVED), person(OBSERVED, OBSERVED))
    message = array(person(OBSERVED, OBSERVED, OBSERVED))
    poses.publish(uneven)  # is ignored, and the node goes on

    def limbs_are_drawn():  # from when the skeleton has arrived
        poses.publish(message)
        return received and len(received[-1].points) == 3

    peer.spin_until(limbs_are_drawn)
    ros_node.destroy_subscription(viewer)
    peer.spin_until(lambda: not poses.get_subscription_count())
    for each in (poses, skeleton):
        ros_node.destroy_publisher(each)
    assert node.stop() == 0


@pytest.mark.parametrize("name", ["bus.jpg", "zidane.jpg"])
def test_a_thin_network_carries_a_small_part_of_the_picture(name, demo_photo, demo_weights):
    """With -s it prints the figures of docs/topics.md."""
    picture = demo_photo(name)
    model, estimator = make_estimator(EstimatorSettings(demo_weights))
    [poses] = estimator.estimate([Frame(picture)])
    content = pose_array(Header(0, "camera"), picture.shape[:2], poses, model.vocabulary)
    edges = np.ravel(model.skeleton.edges).tolist()
    annotator = Annotator(model.vocabulary)

    def annotate():
        return serialize_message(annotations_in(deserialize_message(content, PoseArray), edges))

    def draw():
        canvas = picture.copy()
        annotator.draw(canvas, poses)
        return encode_jpeg(canvas, 80)

    (annotations, cheap), (jpeg, dear) = (measured(each) for each in (annotate, draw))
    print(
        f"\n{name}, {len(poses)} people: {len(annotations)} bytes, as JPEG {len(jpeg)}, raw "
        f"{picture.size}; {dear / cheap:.1f} times less CPU than drawing and JPEG"
    )
    assert 20 * len(annotations) < len(jpeg)


def measured(work):
    """What work returns, and the smallest CPU time that it took, in seconds."""
    times = []
    for _ in range(10):
        begin = thread_time()
        result = work()
        times.append(thread_time() - begin)
    return result, min(times)


def test_the_layout_shows_topics_that_exist():
    layout = json.loads(LAYOUT.read_text())
    panels = layout["configById"]
    panel = next(each for name, each in panels.items() if name.startswith("Image!"))
    # Not synchronized: Foxglove would then show only images with people, and none after the last.
    assert panel["imageMode"] == {
        "imageTopic": "/image",
        "annotations": {"/annotations": {"visible": True}},
    }
    split = layout["layout"]
    assert {split["first"], *(split["second"][each] for each in ("first", "second"))} == set(panels)


def test_without_its_messages_it_says_what_to_install():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "apt install ros-$ROS_DISTRO-foxglove-msgs" in done.stderr
