# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People in `target_frame`, on a robot that turns, with the real tf2_ros and without."""

import sys
from importlib.util import find_spec
from types import SimpleNamespace

import fake_tf2
import numpy as np
import pytest
from geometry_msgs.msg import TransformStamped
from scipy.spatial.transform import Rotation

pytest.importorskip("tf2_msgs", reason="tf2_msgs is not installed in this distribution")

from tf2_msgs.msg import TFMessage

from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.ros.space.transforms import PeopleInFrame, Transforms
from kp_pose_ros.skeleton import Skeleton

NAMES = Skeleton.builtin("coco17").keypoint_names
START, SECOND = 1_700_000_000 * 10**9, 10**9
PERSON = np.array((3.0, 0.5, 1.0))  # in odom: x forward, y left, z up
BODY = np.random.default_rng(0).normal(0, 0.3, (17, 3))
# From the optical frame (x right, y down, z forward) to the robot's, whose camera is in front.
MOUNT = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), np.array((0.2, 0.0, 0.5))
TURNS = 1.0  # rad / s


def at(seconds):
    return START + round(seconds * SECOND)


def stamped(parent, child, rotation, translation, stamp=0):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
    shift, turn = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z = map(float, translation)
    turn.x, turn.y, turn.z, turn.w = rotation.as_quat().tolist()
    return message


def base_at(seconds):
    """The robot's pose in odom: it turns where it stands, and drives a little."""
    return Rotation.from_euler("z", TURNS * seconds), np.array((0.1 * seconds, 0.0, 0.0))


class Robot:
    """Odometry at 50 Hz, and a camera that always sees a standing person."""

    def __init__(self, node, tf):
        self.transforms = Transforms(node, "odom")
        self.people = PeopleInFrame(NAMES, self.transforms)
        self._topics = {
            each.topic_name.lstrip("/"): each.callback for each in self.transforms._subscriptions
        }
        self._random = np.random.default_rng(1)
        self._topics["tf_static"](TFMessage(transforms=[stamped("base", "camera", *MOUNT)]))

    def drive(self, begin, end, hz=50, lead=0.0):
        for seconds in np.arange(begin, end + 1e-9, 1 / hz):
            moved = stamped("odom", "base", *base_at(seconds), at(seconds + lead))
            self._topics["tf"](TFMessage(transforms=[moved]))

    def look(self, seconds, frame_id="camera", noise=0.0, lead=0.0):
        """The motion in an image; its stamp is `lead` seconds later than its picture."""
        turn, shift = base_at(seconds)
        in_base = turn.inv().apply(PERSON + BODY - shift)
        in_camera = MOUNT[0].inv().apply(in_base - MOUNT[1])
        in_camera += self._random.normal(0, max(noise, 1e-9), in_camera.shape)
        header = Header(at(seconds + lead), frame_id)
        return self.people.update(header, np.array((7,), np.int32), in_camera[None])


@pytest.fixture(params=["made up", "real"])
def tf2(request, monkeypatch):
    """tf2_ros, and what behaves as it does."""
    if request.param == "made up":
        monkeypatch.setitem(sys.modules, "tf2_ros", fake_tf2)
    elif find_spec("tf2_ros") is None:
        pytest.skip("tf2_ros is not installed")


@pytest.fixture
def robot(ros_node, tf2):
    robot = Robot(ros_node, tf2)
    yield robot
    robot.transforms.close()


@pytest.mark.parametrize("lost", [0.0, 0.3], ids=["all images", "30 % of the images lost"])
@pytest.mark.parametrize("hz", [20, 50])
def test_somebody_who_stands_has_no_velocity_while_the_robot_turns(robot, hz, lost):
    robot.drive(0, 10, hz)
    random = np.random.default_rng(2)
    speeds, errors, velocities = [], [], []
    for seconds in np.arange(0.0, 10, 1 / 15):
        if random.random() < lost:
            continue
        motion = robot.look(seconds, noise=0.02)
        assert motion.frame_id == "odom"
        if seconds > 2:
            velocities.append(motion.velocity[0])
            speeds.append(np.linalg.norm(motion.velocity))
            errors.append(np.linalg.norm(motion.position[0] - motion_of_standing(robot)))
    bias = np.linalg.norm(np.mean(velocities, axis=0))
    print(f"\n{np.median(errors):.3f} m, {np.median(speeds):.3f} m/s, of it {bias:.3f} lasting")
    assert np.median(speeds) < 0.1
    assert bias < 0.01
    assert np.median(errors) < 0.05


def motion_of_standing(robot):
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    return PERSON + BODY[hips].mean(axis=0)


def test_an_image_without_a_stamp_drops_no_transform(robot):
    robot.drive(0, 2)
    frames = [robot.look(seconds).frame_id for seconds in (1.0, -START / SECOND, 1.1)]
    assert frames == ["odom", "camera", "odom"]


def test_in_the_frame_of_the_camera_the_same_person_moves(ros_node):
    people, robot = PeopleInFrame(NAMES, None), object.__new__(Robot)
    robot.people, robot._random = people, np.random.default_rng(1)
    motions = [robot.look(seconds) for seconds in np.arange(0.0, 2, 1 / 15)]
    assert motions[-1].frame_id == "camera"
    assert np.linalg.norm(motions[-1].velocity) > 1


@pytest.mark.parametrize(
    ("seconds", "frame_id", "reason"),
    [
        pytest.param(2.0, "camera", "future", id="odometry is late"),
        pytest.param(-1.0, "camera", "past", id="an image from before"),
        pytest.param(0.5, "hand", "hand", id="nobody knows the frame"),
        pytest.param(0.5, "", "", id="no frame"),
        pytest.param(0.5, "/camera", "/camera", id="a name of ROS 1"),
        pytest.param(0.5, "cam\0era", "null", id="a name with a zero byte"),
        pytest.param(0.5, "camera" * 10000, "camera", id="a name without end"),
        pytest.param(-START / SECOND, "camera", "no stamp", id="a stamp of zero"),
        pytest.param(-START / SECOND - 5, "camera", "no stamp", id="a stamp below zero"),
    ],
)
def test_without_a_transform_people_are_in_the_frame_of_the_image(robot, seconds, frame_id, reason):
    robot.drive(0, 1)
    motion = robot.look(0, frame_id=frame_id, lead=seconds)
    assert motion.frame_id == frame_id
    in_camera = MOUNT[0].inv().apply(motion_of_standing(robot) - MOUNT[1])
    np.testing.assert_allclose(motion.position[0], in_camera, atol=1e-6)
    sentence = robot.transforms.take_problem()
    assert (
        f"people in 1 of the images had no transform from {brief(frame_id)} to 'odom'" in sentence
    )
    assert len(sentence) < 1500
    assert f"{at(seconds) * 1e-9:.6f} s" in sentence
    assert reason in sentence
    assert robot.transforms.take_problem() == ""


def test_measurements_of_two_frames_are_not_mixed(robot):
    """Odometry comes and goes: each message is true in the frame that it names."""
    seen = {"odom": [], "camera": []}
    for second in range(10):
        if second % 2:
            robot.drive(second - 0.5, second + 0.5)
        for seconds in np.arange(second, second + 1, 1 / 15):
            motion = robot.look(seconds)
            seen[motion.frame_id].append((seconds, motion))
    assert min(map(len, seen.values())) > 20
    for _, motion in seen["odom"]:
        np.testing.assert_allclose(motion.position[0], motion_of_standing(robot), atol=1e-3)
        assert not np.nanmax(np.abs(motion.velocity), initial=0) > 1e-3
    for seconds, motion in seen["camera"]:
        turn, shift = base_at(seconds)
        there = MOUNT[0].inv().apply(turn.inv().apply(motion_of_standing(robot) - shift) - MOUNT[1])
        assert np.linalg.norm(motion.position[0] - there) < 0.3


def test_a_bag_may_start_again(robot):
    robot.drive(100, 101)
    assert robot.look(100.5).frame_id == "odom"
    robot.look(0)  # TF of that time was refused so far
    robot.drive(0, 1)
    assert robot.look(0.5).frame_id == "odom"


def test_after_a_small_step_of_the_clock_transforms_from_before_it_are_not_used(robot):
    robot.drive(0, 1)
    assert robot.look(1.0).frame_id == "odom"
    step = -0.4  # at 1 s
    assert robot.look(1.05, lead=step).frame_id == "camera"
    robot.drive(1.1, 2, lead=step)
    motion = robot.look(1.2, lead=step)
    assert motion.frame_id == "odom"
    np.testing.assert_allclose(motion.position[0], motion_of_standing(robot), atol=1e-3)


def test_images_that_are_a_little_out_of_order_cost_no_transforms(robot):
    robot.drive(0, 1)
    assert [robot.look(seconds).frame_id for seconds in (0.9, 0.7, 0.95)] == ["odom"] * 3


def test_images_in_the_target_frame_need_no_transform(robot):
    assert robot.look(0.5, frame_id="odom").frame_id == "odom"
    assert robot.transforms.take_problem() == ""


def test_an_image_is_looked_up_once_for_all_topics(robot):
    robot.drive(0, 1)
    for seconds, frame_id in ((0.5, "camera"), (2.0, "camera")):
        header = Header(at(seconds), frame_id)
        assert robot.transforms.at(header) is robot.transforms.at(header)
    robot.drive(1, 2)
    assert robot.transforms.at(header) is None  # as the topics before said of this image
    assert robot.transforms.at(Header(at(2.0), "camera")) is not None
    assert "people in 1 of the images" in robot.transforms.take_problem()


def test_tf_is_received_only_while_a_camera_wants_it(robot):
    gates = {each.callback_group for each in robot.transforms._subscriptions}
    (gate,) = gates
    opened = []
    for camera, is_wanted in (("a", True), ("b", True), ("a", False), ("b", False)):
        robot.transforms.want(camera, is_wanted)
        opened.append(gate.can_execute(SimpleNamespace()))
    assert opened == [True, True, True, False]


def test_transforms_from_before_a_pause_are_not_used(robot):
    """Otherwise tf2 would interpolate across the pause."""
    robot.transforms.want("a", True)
    robot.drive(0, 1)
    assert robot.look(1).frame_id == "odom"
    for is_wanted in (False, True):
        robot.transforms.want("a", is_wanted)
    robot.drive(5, 6)
    assert [robot.look(seconds).frame_id for seconds in (4.0, 5.5)] == ["camera", "odom"]


def test_without_tf2_the_sentence_says_what_to_install(ros_node, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2_ros", None)
    with pytest.raises(SettingsError, match=r"'target_frame' is 'odom'.*apt install ros-.*-tf2-"):
        Transforms(ros_node, "odom")
