# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/, run as a user runs them."""

import math
import runpy
import signal
import subprocess
import sys
from importlib import import_module
from itertools import count
from operator import attrgetter
from pathlib import Path
from time import monotonic
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Twist, TwistStamped
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray, Skeleton
from node_process import PATIENCE
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future
from rclpy.time import Time

from kp_pose_ros.ros.bridges.follow_target import FollowTargetServer
from kp_pose_ros.ros.bridges.wait_for_pose import WaitForPoseServer
from kp_pose_ros.ros.qos import LATCHED, RESULTS

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
# Not in COCO's order: a consumer with hard-coded indices fails.
NAMES = ["right_wrist", "left_shoulder", "left_wrist", "nose", "right_shoulder"]
STOP = 0.5  # seconds that the robot may move without fresh poses
_namespaces = (f"example_{n}" for n in count())


def person(x=600.0, raised=(), guessed=()):
    """A person at x of 640 pixels; their wrists hang down, except those raised."""
    pose = KeypointPose(class_name="person", track_id=7, score=0.9)
    pose.bbox.center.position.x = x
    for name in NAMES:
        y = 50.0 if name in raised else 300.0 if name.endswith("wrist") else 100.0
        state = Keypoint.ABSENT if name in guessed else Keypoint.OBSERVED
        pose.keypoints.append(Keypoint(x=x, y=y, score=0.9, state=state))
    return pose


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=attrgetter("name"))
def test_help_is_printed_and_nothing_starts(path, monkeypatch, capsys):
    if "ros.process import" not in path.read_text():
        pytest.skip("a module, not a program")
    if "tree" in path.name:
        pytest.importorskip("py_trees")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {path.stem} [-h] [--ros-args")


class Robot:
    """What surrounds an example: the pose node's topics, and the robot that gets the commands."""

    def __init__(self, node, namespace, command=TwistStamped):
        self.node = node
        self.commands = []
        self.poses = node.create_publisher(PoseArray, f"/{namespace}/poses", RESULTS)
        self._skeleton = node.create_publisher(Skeleton, f"/{namespace}/skeleton", LATCHED)
        self._subscription = node.create_subscription(
            command, f"/{namespace}/cmd_vel", self.commands.append, RESULTS
        )

    def close(self):
        for publisher in (self.poses, self._skeleton):
            self.node.destroy_publisher(publisher)
        self.node.destroy_subscription(self._subscription)

    def describe(self, name="robot5"):
        self._skeleton.publish(Skeleton(name=name, keypoint_names=NAMES))

    def see(self, *people, stamp=None):
        """Publish people of an image taken just now, or at `stamp`."""
        message = PoseArray(image_width=640, image_height=480, skeleton="robot5", poses=people)
        message.header.stamp = stamp or self.node.get_clock().now().to_msg()
        self.poses.publish(message)

    def speed_after(self, *people, stamp=None, commands=8):
        """Show people again and again; return the speed of the last of so many commands."""
        self.commands.clear()
        deadline = monotonic() + PATIENCE
        while len(self.commands) < commands:
            assert monotonic() < deadline, "no commands"
            self.see(*people, stamp=stamp)
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return self.commands[-1].twist.angular.z

    def turns(self, direction, *people):
        """Show people until the program follows, which takes a while on a busy machine."""
        deadline = monotonic() + PATIENCE
        while np.sign(speed := self.speed_after(*people)) != direction:
            assert monotonic() < deadline, f"turns at {speed} rad/s"
        return True

    def stands_still(self):
        """Whether the latest command says so."""
        return bool(self.commands) and self.commands[-1].twist.angular.z == 0.0

    def spin_until_still(self):
        """Return the seconds by the commands' stamps until the first of those that stand still."""
        self.commands.clear()
        begin, deadline = self.node.get_clock().now(), monotonic() + PATIENCE
        enough = begin + rclpy.duration.Duration(seconds=1.5 * STOP)
        while self.node.get_clock().now() < enough or not self.stands_still():
            assert monotonic() < deadline
            rclpy.spin_once(self.node, timeout_sec=0.05)
        moving = [each for each in self.commands if each.twist.angular.z != 0.0]
        last = Time.from_msg(moving[-1].header.stamp) if moving else begin
        return (last - begin).nanoseconds * 1e-9


@pytest.fixture(scope="module")
def start_example():
    processes = []

    def start(name, namespace):
        command = [sys.executable, "-u", EXAMPLES / name, "--ros-args", "-r", f"__ns:=/{namespace}"]
        pipe = subprocess.PIPE
        processes.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(params=["raised_hand.py", "raised_hand_tree.py"], scope="module")
def example(request, start_example):
    """A program that turns towards raised hands, its namespace, and the signal that ends it."""
    is_tree = "tree" in request.param
    if is_tree:
        pytest.importorskip("py_trees")
    namespace = next(_namespaces)
    number = signal.SIGINT if is_tree else signal.SIGTERM
    return start_example(request.param, namespace), namespace, number


@pytest.fixture
def robot(example, ros_node):
    robot = Robot(ros_node, example[1])
    yield robot
    robot.close()


def test_it_stands_still_until_it_knows_the_keypoints(robot):
    robot.describe("another model's")
    assert robot.speed_after(person(raised=["left_wrist"])) == 0.0


@pytest.mark.parametrize(
    ("people", "direction"),
    [
        pytest.param([], 0, id="nobody"),
        pytest.param([person()], 0, id="hands down"),
        pytest.param([person(600.0, ["left_wrist"])], -1, id="somebody to the right"),
        pytest.param([person(40.0, ["right_wrist"])], 1, id="somebody to the left"),
        pytest.param([person(320.0, ["left_wrist"])], 0, id="somebody in front"),
        pytest.param([person(600.0), person(40.0, ["left_wrist"])], 1, id="the second of two"),
        pytest.param(
            [person(600.0, ["left_wrist"], guessed=["left_wrist"])], 0, id="a hand that is a guess"
        ),
        pytest.param(
            [person(600.0, ["left_wrist"], guessed=["left_shoulder"])], 0, id="half a guess"
        ),
        pytest.param([person(600.0, ["nose"])], 0, id="another keypoint is high"),
    ],
)
def test_it_turns_towards_whoever_raises_a_hand(robot, people, direction):
    robot.describe()
    assert robot.turns(direction, *people)


def test_it_stops_when_the_hand_goes_down(robot):
    robot.describe()
    assert robot.turns(-1, person(raised=["left_wrist"]))
    assert robot.turns(0, person())


def test_it_stops_when_poses_stop_coming(robot):
    robot.describe()
    assert robot.turns(-1, person(raised=["left_wrist"]))
    assert robot.spin_until_still() < STOP


@pytest.mark.parametrize("age", [1.0, -1.0], ids=["old", "of the future"])
def test_it_stops_when_poses_are_stale(robot, age):
    robot.describe()
    hand = person(raised=["left_wrist"])
    assert robot.turns(-1, hand)
    stamp = robot.node.get_clock().now() - rclpy.duration.Duration(seconds=age)
    assert robot.speed_after(hand, stamp=stamp.to_msg()) == 0.0


def assert_ends_quietly(process, number):
    process.send_signal(number)
    assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0


def test_it_stops_the_robot_at_its_end(example, robot):
    """The last of the tests of `example`, which it ends."""
    process, _, number = example
    robot.describe()
    hand = person(raised=["left_wrist"])
    assert robot.turns(-1, hand)
    robot.see(hand)
    assert_ends_quietly(process, number)
    assert robot.spin_until_still() < STOP


def test_who_is_there_prints_who_is_seen(start_example, ros_node):
    namespace = next(_namespaces)
    process = start_example("who_is_there.py", namespace)
    robot = Robot(ros_node, namespace)
    deadline = monotonic() + PATIENCE
    while not robot.poses.get_subscription_count():
        assert monotonic() < deadline
        rclpy.spin_once(ros_node, timeout_sec=0.05)
    robot.see(person(x=160.0), person(x=480.0))
    assert process.stdout.readline() == "person 7: 90% sure, 25% from left\n"
    assert process.stdout.readline() == "person 7: 90% sure, 75% from left\n"
    assert_ends_quietly(process, signal.SIGINT)
    robot.close()


def test_ask_for_a_person_says_when_somebody_has_been_there_for_long_enough(
    start_example, ros_node
):
    namespace = next(_namespaces)
    server = WaitForPoseServer(namespace=namespace)
    executor = SingleThreadedExecutor()
    executor.add_node(server)
    executor.add_node(ros_node)
    robot = Robot(ros_node, namespace)
    robot.describe()
    process = start_example("ask_for_a_person.py", namespace)
    deadline = monotonic() + PATIENCE
    while process.poll() is None:
        assert monotonic() < deadline
        robot.see(person(x=320.0), person(x=600.0))
        executor.spin_once(0.05)
    assert process.stdout.read().startswith("1 in the middle at 1")
    executor.shutdown()
    server.destroy_node()
    robot.close()


def test_ask_for_a_person_ends_quietly_while_it_waits(start_example, ros_node):
    namespace = next(_namespaces)
    process = start_example("ask_for_a_person.py", namespace)
    deadline = monotonic() + PATIENCE
    while ("ask_for_a_person", f"/{namespace}") not in ros_node.get_node_names_and_namespaces():
        assert monotonic() < deadline
        rclpy.spin_once(ros_node, timeout_sec=0.05)
    assert_ends_quietly(process, signal.SIGINT)


@pytest.mark.parametrize(
    ("names", "count", "expected"),
    [
        pytest.param(NAMES, len(NAMES), True, id="a hand"),
        pytest.param(NAMES, 2, False, id="too few keypoints"),
        pytest.param(["nose"] * len(NAMES), len(NAMES), False, id="a skeleton without hands"),
    ],
)
def test_a_gesture_needs_its_keypoints(names, count, expected, monkeypatch):
    """An exception would leave the robot with its last command."""
    monkeypatch.syspath_prepend(EXAMPLES)
    raises_a_hand = import_module("gestures").raises_a_hand
    someone = person(raised=["left_wrist"])
    someone.keypoints = someone.keypoints[:count]
    assert raises_a_hand(someone, names) == expected


def rejected(*_, **__):
    """The answer of a server that is about to end."""
    answer = Future()
    answer.set_result(SimpleNamespace(accepted=False))
    return answer


def test_ask_for_a_person_says_that_its_goal_was_rejected(ros_node, monkeypatch, capsys):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = import_module("ask_for_a_person")
    client = SimpleNamespace(wait_for_server=lambda: True, send_goal_async=rejected)
    monkeypatch.setattr(example, "ActionClient", lambda *_: client)
    example.ask(ros_node)
    assert capsys.readouterr().out.startswith("the server rejected the goal")


def test_follow_me_asks_again_only_after_a_while_if_its_goal_was_rejected(ros_node, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    example = import_module("follow_me")
    robot = example.FollowMe()
    monkeypatch.setattr(robot.client, "server_is_ready", lambda: True)
    monkeypatch.setattr(robot.client, "send_goal_async", rejected)
    robot.ask()
    assert (robot.following, robot.wait) == (None, example.SILENCE)
    robot.destroy_node()


class Base:
    """A robot that obeys its commands, in front of a person at x, y metres."""

    def __init__(self, robot, executor, person_at):
        self.robot, self.executor, self.person_at = robot, executor, person_at
        self.place, self.yaw, self.command, self.moved = np.zeros(2), 0.0, Twist(), monotonic()

    def obey(self, command):
        now = monotonic()
        seconds, self.moved = now - self.moved, now
        self.yaw += seconds * self.command.angular.z
        heading = np.array((math.cos(self.yaw), math.sin(self.yaw)))
        self.place = self.place + seconds * self.command.linear.x * heading
        self.command = command

    @property
    def to_person(self):
        """Metres and radians to the left, from the robot."""
        x, y = self.person_at - self.place
        return math.hypot(x, y), math.atan2(y, x) - self.yaw

    @property
    def is_still(self):
        return self.command == Twist()

    def spin_until(self, condition, *, sees=True):
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline, (self.to_person, self.command)
            distance, bearing = self.to_person
            someone = person(x=320.0 - 300 * bearing)
            someone.motion.position_valid = True
            someone.motion.position.x = -distance * math.sin(bearing)
            someone.motion.position.z = distance * math.cos(bearing)
            self.robot.see(*[someone] if sees else [])
            for _ in range(6):  # or the poses would wait in their queue, and be stale
                self.executor.spin_once(0.01)
            while self.robot.commands:
                self.obey(self.robot.commands.pop(0))


def test_follow_me_drives_to_a_person_and_stops_when_they_or_the_server_are_lost(
    start_example, ros_node
):
    namespace = next(_namespaces)
    executor = SingleThreadedExecutor()
    executor.add_node(ros_node)

    def start_server():
        server = FollowTargetServer(namespace=namespace)
        executor.add_node(server)
        return server

    server = start_server()
    robot = Robot(ros_node, namespace, Twist)
    robot.describe()
    process = start_example("follow_me.py", namespace)
    base = Base(robot, executor, person_at=(1.7, 0.7))
    base.spin_until(lambda: base.to_person[0] < 1.4 and abs(base.to_person[1]) < 0.1)
    base.spin_until(lambda: base.command.linear.x < 0.1)
    assert base.to_person[0] > 1.0
    base.person_at = base.person_at + np.array((1.0, -1.0))
    base.spin_until(lambda: base.command.angular.z < 0 < base.command.linear.x)
    base.spin_until(lambda: base.is_still, sees=False)
    base.spin_until(lambda: not base.is_still)
    executor.remove_node(server)  # as if killed: it gives no result
    server.destroy_node()
    base.spin_until(lambda: base.is_still)
    base.person_at = base.person_at + np.array((1.0, 1.0))
    server = start_server()
    robot.describe()
    base.spin_until(lambda: not base.is_still)
    process.send_signal(signal.SIGINT)
    base.spin_until(lambda: process.poll() is not None, sees=False)
    assert (process.returncode, process.stdout.read()) == (0, "")
    executor.shutdown()
    server.destroy_node()
    robot.close()


@pytest.fixture(scope="session")
def video(demo_photo, tmp_path_factory):
    """A camera that looks at two people, rolls to the side, and looks on, at 10 Hz.

    Then the arm that one of them stretches out is above its shoulder.
    """
    picture = cv2.resize(demo_photo("zidane.jpg"), (640, 360))
    path = tmp_path_factory.mktemp("video") / "people.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 360))
    for angle in [0] * 8 + [*range(5, 60, 5)] + [60] * 15:
        roll = cv2.getRotationMatrix2D((320, 180), angle, 1)
        writer.write(cv2.warpAffine(picture, roll, (640, 360)))
    writer.release()
    return path


@pytest.fixture
def play(video):
    """Starter of a camera that plays the video again and again."""
    started = []

    def start(namespace):
        command = [sys.executable, "-m", "kp_pose_ros.demo.camera", video, "--loop"]
        command += ["--ros-args", "-r", f"__ns:=/{namespace}"]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_video_in_commands_out_and_none_when_the_node_dies(
    start_example, ros_node, start_node, play
):
    namespace = next(_namespaces)
    start_example("raised_hand.py", namespace)
    robot = Robot(ros_node, namespace)
    node = start_node("-r", f"__ns:=/{namespace}", imgsz="192, 320").wait_until_ready()
    robot.commands.clear()
    camera = play(namespace)
    deadline = monotonic() + PATIENCE
    # They are right of the middle. While the camera rolls, the other one's wrist may be high.
    while not any(each.twist.angular.z < 0.0 for each in robot.commands):
        assert monotonic() < deadline, node.log
        rclpy.spin_once(robot.node, timeout_sec=0.1)
    node.kill()
    assert robot.spin_until_still() < STOP
    assert camera.poll() is None
    robot.close()
