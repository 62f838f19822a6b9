# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import subprocess
import sys

import pytest

pytest.importorskip("people_msgs", reason="people_msgs is not installed in this distribution")

from geometry_msgs.msg import Point, Vector3
from kp_pose_ros.msg import Keypoint3D, KeypointPose, Motion, PoseArray, Skeleton
from people_msgs.msg import People
from tf2_msgs.msg import TFMessage

from kp_pose_ros.ros.bridges.people import people_in
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.skeleton import Skeleton as BuiltIn

MODULE = "kp_pose_ros.ros.bridges.people"
NAMES = BuiltIn.builtin("coco17").keypoint_names
# Runs it as if nobody had installed people_msgs.
WITHOUT = f"""
import sys
sys.modules["people_msgs"] = None
import {MODULE} as it
sys.exit(it.main())
"""


def walking(track_id=7, frame_id="odom", x=3.0, **known):
    """A person 3 m ahead who walks to the left."""
    motion = Motion(
        position=Point(x=x, y=1.0),
        velocity=Vector3(y=1.25),
        frame_id=frame_id,
        **{"position_valid": True, "velocity_valid": True} | known,
    )
    return KeypointPose(track_id=track_id, score=0.75, motion=motion)


def array(*poses):
    message = PoseArray(skeleton="coco17", poses=poses)
    message.header.frame_id, message.header.stamp.sec = "camera", 12
    return message


def test_a_person_has_a_name_a_position_a_velocity_and_the_frame_of_both():
    message = array(walking())
    found = people_in(message)
    assert message.header.frame_id == "camera", "others read it, too"
    assert (found.header.frame_id, found.header.stamp.sec) == ("odom", 12)
    (person,) = found.people
    assert (person.name, person.reliability) == ("kp7", 0.75)
    assert person.position == Point(x=3.0, y=1.0)
    assert person.velocity == Point(y=1.25)
    assert (person.tagnames, person.tags) == (["velocity_valid"], ["true"])


@pytest.mark.parametrize(
    ("poses", "names", "tags"),
    [
        pytest.param([], [], [], id="nobody"),
        pytest.param([walking(position_valid=False)], [], [], id="nobody knows where"),
        pytest.param([walking(x=math.nan), walking(x=math.inf)], [], [], id="no numbers"),
        pytest.param([walking(-1, velocity_valid=False)], [""], ["false"], id="untracked"),
        pytest.param(
            [walking(0), walking(2, velocity_valid=False)],
            ["kp0", "kp2"],
            ["true", "false"],
            id="two",
        ),
    ],
)
def test_everybody_whose_position_is_known_is_there(poses, names, tags):
    found = people_in(array(*poses))
    assert [each.name for each in found.people] == names
    assert [tag for each in found.people for tag in each.tags] == tags
    assert found.header.frame_id == ("odom" if names else "camera")


@pytest.fixture
def start_bridge(start_program):
    started = []

    def start(namespace, **parameters):
        remap = ["-r", f"__ns:={namespace}", "-r", f"/tf:={namespace}/tf"]
        started.append(start_program(MODULE, *remap, **parameters))
        started[-1].wait_for_log("ready: publishes the people in")

    yield start
    for each in started:
        assert each.stop() == 0


def test_poses_are_received_only_for_a_subscriber(start_bridge, ros_node, peer):
    start_bridge("/asked")
    peer = peer("asked", results=None)
    poses = ros_node.create_publisher(PoseArray, "/asked/poses", RESULTS)
    peer.spin_for(0.4)  # it looks ten times a second
    assert poses.get_subscription_count() == 0
    received = []
    people = ros_node.create_subscription(People, "/asked/people", received.append, RESULTS)
    peer.spin_until(poses.get_subscription_count)
    peer.spin_until(lambda: (poses.publish(array(walking())), received)[1])
    assert [each.name for each in received[0].people] == ["kp7"]
    ros_node.destroy_subscription(people)
    peer.spin_until(lambda: not poses.get_subscription_count())
    ros_node.destroy_publisher(poses)


def test_frames_are_broadcast_with_and_without_a_subscriber_to_people(start_bridge, ros_node, peer):
    start_bridge("/framed", frames=True)
    peer = peer("framed", results=None)
    poses = ros_node.create_publisher(PoseArray, "/framed/poses", RESULTS)
    skeleton = ros_node.create_publisher(Skeleton, "/framed/skeleton", LATCHED)
    skeleton.publish(Skeleton(name="coco17", keypoint_names=NAMES))
    received = []
    tf = ros_node.create_subscription(TFMessage, "/framed/tf", received.append, 10)
    person = walking()
    person.keypoints_3d = [
        Keypoint3D(position=Point(x=0.3 * ("left" in name), y=-0.5 * ("shoulder" in name)))
        for name in NAMES
    ]
    for each in person.keypoints_3d:
        each.valid = True
    peer.spin_until(lambda: (poses.publish(array(person)), received)[1])
    assert received[0].transforms[0].child_frame_id == "body_kp7"
    moving = []
    people = ros_node.create_subscription(People, "/framed/people", moving.append, RESULTS)
    peer.spin_until(lambda: (poses.publish(array(person)), moving)[1])
    received.clear()
    peer.spin_until(lambda: (poses.publish(array(person)), received)[1])
    assert {each.header.frame_id for tf in received for each in tf.transforms} == {"camera"}
    ros_node.destroy_subscription(people)
    for each in (poses, skeleton):
        ros_node.destroy_publisher(each)
    ros_node.destroy_subscription(tf)


def test_without_its_messages_it_says_what_to_build():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("people: people_msgs, the package of the messages")
    assert "github.com/wg-perception/people" in done.stderr
