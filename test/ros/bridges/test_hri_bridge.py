# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import array
import subprocess
import sys
from functools import partial
from itertools import count
from time import monotonic

import numpy as np
import pytest

pytest.importorskip("hri_msgs", reason="hri_msgs is not installed in this distribution")

import rclpy
from hri_msgs.msg import IdsList, NormalizedRegionOfInterest2D, Skeleton2D
from kp_pose_ros.msg import Keypoint, Keypoint3D, KeypointPose, PoseArray, Skeleton
from node_process import PATIENCE
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from tf2_msgs.msg import TFMessage

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.jpeg import encode_jpeg
from kp_pose_ros.ros.bridges.hri_bodies import HriBodies
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.skeleton import Skeleton as BuiltIn

MODULE = "kp_pose_ros.ros.bridges.hri_bridge"
NAMES = BuiltIn.builtin("coco17").keypoint_names
# Runs the bridge as if nobody had installed hri_msgs.
WITHOUT = f"import sys; sys.modules['hri_msgs'] = None; import {MODULE} as it; sys.exit(it.main())"
CLOCK = "/time_of_the_bridge"
_times = count(1000, 1000)  # seconds


def person(track_id, **fields):
    """A person in the left half of a 640 x 480 image, every keypoint at its middle."""
    points = [Keypoint(x=160.0, y=240.0, score=0.5, state=Keypoint.OBSERVED) for _ in NAMES]
    pose = KeypointPose(track_id=track_id, score=0.75, keypoints=points)
    pose.bbox.center.position.x, pose.bbox.center.position.y = 160.0, 240.0
    pose.bbox.size_x, pose.bbox.size_y = 320.0, 480.0
    for name, value in fields.items():
        setattr(pose, name, value)
    return pose


class Robot:
    """A pose node's topics of one camera, a clock, and a subscriber to bodies."""

    def __init__(self, node, prefix):
        self.node = node
        self.now = next(_times)
        self.step = 0.001  # seconds between two messages of the clock
        self._clock = node.create_publisher(Clock, CLOCK, 1)
        self.tracked, self.regions, self.skeletons = [], [], []
        self._skeleton = node.create_publisher(Skeleton, f"{prefix}skeleton", LATCHED)
        self._poses = node.create_publisher(PoseArray, f"{prefix}poses", RESULTS)
        self._others = [self.listen(IdsList, "tracked", self.tracked)]
        self.describe()

    def close(self):
        for each in self._others:
            self.node.destroy_subscription(each)
        for each in (self._poses, self._skeleton, self._clock):
            self.node.destroy_publisher(each)

    def describe(self, name="coco17", keypoint_names=NAMES):
        self._skeleton.publish(Skeleton(name=name, keypoint_names=keypoint_names))

    def listen(self, kind, topic, messages):
        return self.node.create_subscription(
            kind, f"/humans/bodies/{topic}", messages.append, RESULTS
        )

    def follow(self, body):
        self._others.append(self.listen(NormalizedRegionOfInterest2D, f"{body}/roi", self.regions))
        self._others.append(self.listen(Skeleton2D, f"{body}/skeleton2d", self.skeletons))

    def listen_to_cropped(self, body, messages):
        self._others.append(self.listen(Image, f"{body}/cropped", messages))

    def show(self, *people):
        message = PoseArray(image_width=640, image_height=480, skeleton="coco17", poses=people)
        message.header.frame_id, message.header.stamp.sec = "camera", 12345
        self._poses.publish(message)

    def tell_time(self):
        self.now += self.step
        clock = Clock()
        clock.clock.sec, clock.clock.nanosec = int(self.now), int(self.now % 1 * 1e9)
        self._clock.publish(clock)

    def wait(self, condition, act=lambda: None, timeout=PATIENCE):
        """Act and publish the clock at 20 Hz until a condition holds."""
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"not within {timeout} s"
            self.tell_time()
            act()
            self.spin(0.05)

    def show_until(self, condition, *people):
        self.wait(condition, lambda: self.show(*people))

    def spin(self, seconds):
        end = monotonic() + seconds
        while (rest := end - monotonic()) > 0:
            rclpy.spin_once(self.node, timeout_sec=rest)

    def ids(self):
        return list(self.tracked[-1].ids) if self.tracked else None

    def topics(self):
        """The topics of bodies that are published, without their common prefix."""
        found = [name for name, _ in self.node.get_topic_names_and_types()]
        names = [name for name in found if "/_" not in name]  # hidden: Lyrical's channels
        bodies = [name for name in names if name.startswith("/humans/bodies/kp")]
        return {
            name.removeprefix("/humans/bodies/")
            for name in bodies
            if self.node.count_publishers(name)
        }


@pytest.fixture(scope="module")
def start_bridge(start_program):
    return partial(start_program, MODULE)


@pytest.fixture(scope="module")
def bridge(start_bridge):
    """A bridge for two cameras, by a clock that the tests set; the rear one sends JPEGs."""
    clock = ["-r", f"/clock:={CLOCK}", "-p", "use_sim_time:=true"]
    jpeg = ["-r", "rear/image:=rear/image/compressed"]
    return start_bridge(*clock, *jpeg, cameras=["front", "rear"])


@pytest.fixture
def robot(ros_node, bridge):
    robot = Robot(ros_node, "front/")
    yield robot
    robot.close()


def topics_of(body):
    return {f"{body}/{topic}" for topic in ("roi", "skeleton2d", "cropped")}


def test_bodies_and_their_topics_come_and_go_with_the_tracks(robot):
    robot.show_until(lambda: robot.ids() == ["kp7"], person(7), person(-1))
    robot.show_until(lambda: robot.topics() == topics_of("kp7"), person(7))
    robot.show_until(lambda: robot.ids() == ["kp7", "kp9"], person(7), person(9))
    robot.now += 2
    robot.show_until(lambda: robot.ids() == ["kp9"], person(9))
    robot.show_until(lambda: robot.topics() == topics_of("kp9"), person(9))
    robot.now += 2
    robot.show_until(lambda: robot.ids() == [])
    robot.show_until(lambda: robot.topics() == set())


def test_a_body_has_the_images_header_and_fractions_of_its_size(robot):
    robot.follow("kp3")
    robot.show_until(lambda: robot.regions and robot.skeletons, person(3))
    region, skeleton = robot.regions[-1], robot.skeletons[-1]
    assert (region.xmin, region.ymin, region.xmax, region.ymax) == (0.0, 0.0, 0.5, 1.0)
    assert region.c == 0.75
    assert region.header.frame_id == skeleton.header.frame_id == "camera"
    assert region.header.stamp.sec > 0
    assert [(each.x, each.y, each.c) for each in skeleton.skeleton] == [(0.25, 0.5, 0.5)] * 18


@pytest.mark.parametrize("passed", [0.9, -0.9], ids=["out of sight", "the clock is set back"])
def test_a_moment_changes_nothing(robot, passed):
    robot.show_until(lambda: robot.ids() == ["kp4"], person(4))
    robot.now += passed
    robot.tracked.clear()
    robot.show_until(lambda: len(robot.tracked) > 5)
    assert {tuple(each.ids) for each in robot.tracked} == {("kp4",)}


def test_ids_below_zero_are_people_without_a_track(robot):
    robot.show_until(lambda: robot.ids() == ["kp0"], person(-2), person(0), person(-(2**31)))


def test_bodies_are_gone_although_simulated_time_stands_still(robot):
    robot.show_until(lambda: robot.ids() == ["kp5"], person(5))
    robot.step = 0
    robot.wait(lambda: robot.ids() == [])


@pytest.mark.parametrize("camera", ["front", "rear"])
def test_the_part_of_the_image_that_shows_a_body_is_published(ros_node, bridge, camera):
    robot, cropped = Robot(ros_node, f"{camera}/"), []
    robot.listen_to_cropped("kp3", cropped)
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = 70  # where the person is
    if camera == "front":
        image = Image(height=48, width=64, step=192, encoding="bgr8")
        image.data = array.array("B", picture.tobytes())
        images = ros_node.create_publisher(Image, "front/image", 1)
    else:
        image = CompressedImage(format="jpeg", data=encode_jpeg(picture, 95).tobytes())
        images = ros_node.create_publisher(CompressedImage, "rear/image/compressed", 1)
    image.header.stamp.sec = 12345
    robot.wait(lambda: cropped, lambda: (images.publish(image), robot.show(person(3))))
    ros_node.destroy_publisher(images)
    robot.close()
    assert (cropped[0].height, cropped[0].width, cropped[0].encoding) == (48, 32, "bgr8")
    assert np.median(cropped[0].data) == pytest.approx(70, abs=2)
    assert cropped[0].header.frame_id == "camera"


def test_a_body_that_is_known_in_space_has_a_frame(robot, ros_node):
    transforms = []
    tf = ros_node.create_subscription(
        TFMessage, "/tf", lambda message: transforms.extend(message.transforms), 10
    )
    body = person(3, keypoints_3d=[Keypoint3D(valid=True) for _ in NAMES])
    for name, each in zip(NAMES, body.keypoints_3d, strict=True):
        each.position.x, each.position.y = 0.3 * ("left" in name), -0.5 * ("shoulder" in name)
    robot.show_until(lambda: transforms, body, person(4))
    ros_node.destroy_subscription(tf)
    assert {(each.header.frame_id, each.child_frame_id) for each in transforms} == {
        ("camera", "body_kp3")
    }


@pytest.mark.parametrize("passed", [2, -2], ids=["time passes", "a bag starts again"])
def test_bodies_are_gone_when_no_poses_come_any_more(robot, passed):
    robot.show_until(lambda: robot.ids() == ["kp5"], person(5))
    robot.now += passed
    robot.wait(lambda: robot.ids() == [])
    assert robot.tracked[-1].header.stamp.sec == int(robot.now)


def test_two_cameras_share_one_list(robot, ros_node):
    rear = Robot(ros_node, "rear/")
    robot.now = rear.now
    robot.wait(
        lambda: robot.ids() in (["kp1", "kp2"], ["kp2", "kp1"]),
        lambda: (robot.show(person(1)), rear.show(person(2))),
    )
    rear.close()


def test_a_skeleton_that_is_no_bodys_is_refused_in_a_sentence(robot, bridge):
    robot.show_until(lambda: robot.ids() == ["kp6"], person(6))
    robot.describe("paws", ["left_paw", "right_paw"])
    bridge.wait_for_log("the skeleton 'paws' has no keypoint 'nose': expected the 17 of a body")
    robot.now += 2
    robot.show_until(lambda: robot.ids() == [], person(6))


def test_poses_that_contradict_their_skeleton_are_ignored_with_a_warning(robot, bridge):
    robot.show_until(lambda: robot.ids() == ["kp8"], person(8))
    robot.now += 2
    robot.show_until(lambda: robot.ids() == [], person(8, keypoints=[Keypoint()]))
    assert len(bridge.log_lines("'front/poses' was ignored: ")) == 1


def test_it_ends_when_told_and_takes_its_bodies_along(start_bridge, ros_node):
    bridge = start_bridge("-r", "__ns:=/ending")
    robot = Robot(ros_node, "/ending/")
    robot.show_until(lambda: robot.ids() == ["kp2"], person(2))
    for _ in range(5):  # some of them come after the bridge was told to end
        robot.show(person(2))
    code = bridge.stop()
    robot.spin(0.2)
    ids = robot.ids()
    robot.close()
    assert code == 0, bridge.log
    (line,) = bridge.log.splitlines()
    assert "ready: publishes the people in /ending/poses on /humans/bodies" in line
    assert ids == []


def test_it_ends_when_told_before_it_is_ready(start_bridge):
    bridge = start_bridge()
    bridge.wait_until_it_handles_signals()
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        pytest.param(
            {"timeout": -1},
            "parameter 'timeout' is -1: expected a number from 0.1 to 60",
            id="range",
        ),
        pytest.param(
            {"cameras": 3}, "parameter 'cameras' is 3: expected a list of texts", id="type"
        ),
    ],
)
def test_a_wrong_parameter_is_refused_in_a_sentence(ros_node, parameters, sentence):
    given = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises(SettingsError, match=sentence):
        HriBodies(parameter_overrides=given)


def test_without_its_messages_it_says_what_to_install():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("hri_bridge: hri_msgs, the package of the messages")
    assert "apt install ros-" in done.stderr
    assert done.stderr.count("\n") == 1
