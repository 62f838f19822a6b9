# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The action as its client sees it: a process serves, this one plays planner, camera and node."""

import math
import signal
from copy import deepcopy
from itertools import count
from time import monotonic

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from kp_pose_ros.action import FollowTarget
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray, Skeleton
from node_process import PATIENCE, NodeProcess
from peer import greet
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from scenes import STANDING
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.skeleton import Skeleton as Names

NAMES = list(Names.builtin("coco17").keypoint_names)
WIDTH, HEIGHT, FOCAL = 640, 480, 500.0
ABORTED, CANCELED = GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED
Goal, Result, Feedback = FollowTarget.Goal, FollowTarget.Result, FollowTarget.Feedback
RED, BLUE, GREEN = (40, 40, 200), (200, 60, 40), (60, 180, 60)
_namespaces = (f"/followed_{n}" for n in count())


class Someone:
    """A person at so many metres to the right and forward, in a colour."""

    def __init__(self, track_id, x=0.0, z=3.0, *, colour=RED, depth=True, raised=False):
        self.track_id, self.x, self.z, self.colour = track_id, x, z, colour
        self.depth, self.raised = depth, raised

    @property
    def points(self):
        scale = 1.7 * FOCAL / self.z
        points = np.array((WIDTH / 2 + FOCAL * self.x / self.z, HEIGHT / 2)) + STANDING * scale
        if self.raised:
            points[NAMES.index("left_wrist"), 1] = points[NAMES.index("left_eye"), 1] - 20
        return points

    def to_msg(self):
        points = self.points
        pose = KeypointPose(track_id=self.track_id, score=0.9, class_name="person")
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        pose.bbox.center.position.x, pose.bbox.center.position.y = (
            (left + right) / 2, (top + bottom) / 2,
        )  # fmt: skip
        pose.bbox.size_x, pose.bbox.size_y = right - left, bottom - top
        for x, y in points.tolist():
            pose.keypoints.append(Keypoint(x=x, y=y, score=0.9, state=Keypoint.OBSERVED))
        if self.depth:
            pose.motion.position_valid = True
            pose.motion.position.x, pose.motion.position.z = self.x, self.z
        return pose


class Robot:
    """What surrounds the server."""

    def __init__(self, node, namespace):
        self.node = node
        self.client = ActionClient(node, FollowTarget, f"{namespace}/follow_target")
        self.poses = node.create_publisher(PoseArray, f"{namespace}/poses", RESULTS)
        self.images = node.create_publisher(Image, f"{namespace}/image", RESULTS)
        self.infos = node.create_publisher(CameraInfo, f"{namespace}/camera_info", RESULTS)
        self.skeleton = node.create_publisher(Skeleton, f"{namespace}/skeleton", LATCHED)
        self.skeleton.publish(Skeleton(name="coco17", keypoint_names=NAMES))
        self._clock = node.create_publisher(Clock, f"{namespace}/clock", 1)
        self._now = 1000.0  # the server's time, which stands still unless it is told to pass
        self.targets, self.feedback, self.stamp = [], [], 1000.0
        self.is_known = False  # to the server
        self.subscription = node.create_subscription(
            PoseStamped, f"{namespace}/target", self.targets.append, RESULTS
        )

    def close(self):
        self.client.destroy()
        for each in (self.poses, self.images, self.infos, self.skeleton, self._clock):
            self.node.destroy_publisher(each)
        self.node.destroy_subscription(self.subscription)

    def spin_until(self, condition, timeout=PATIENCE):
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"nothing in {timeout} s"
            rclpy.spin_once(self.node, timeout_sec=0.02)

    def pass_time_until(self, condition, act=lambda: None):
        """Have the server's time pass until something has happened."""
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline
            self._now += 0.1
            clock = Clock()
            set_time(clock.clock, self._now)
            self._clock.publish(clock)
            act()
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def wait_for(self, future):
        self.spin_until(future.done)
        return future.result()

    def send(self, **fields):
        """Send a goal; return its handle and the future of its answer."""
        goal = Goal(**{name: value for name, value in fields.items() if name not in TIMES})
        for name in TIMES & fields.keys():
            whole = math.floor(fields[name])
            duration = getattr(goal, name)
            duration.sec, duration.nanosec = whole, round((fields[name] - whole) * 1e9)
        self.feedback.clear()
        if not self.is_known:
            greet(self.node, self.client, Goal(select=9))
            self.is_known = True
        on_feedback = lambda message: self.feedback.append(message.feedback)  # noqa: E731
        handle = self.wait_for(self.client.send_goal_async(goal, feedback_callback=on_feedback))
        return handle, handle.get_result_async()

    def calibration(self, header=None):
        k = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]
        size = {"width": WIDTH, "height": HEIGHT}
        lens = {"d": [0.0] * 5, "distortion_model": "plumb_bob"}
        return CameraInfo(header=header or Header(), k=k, **lens, **size)

    def see(self, *people, after=0.1, picture=True, info=False):
        """Show an image of people; return the feedback on it."""
        self.stamp += after
        message = PoseArray(image_width=WIDTH, image_height=HEIGHT, skeleton="coco17")
        header = message.header
        header.frame_id = "camera_optical"
        set_stamp(header, self.stamp)
        message.poses = [each.to_msg() for each in people]
        self.spin_until(
            lambda: all(each.get_subscription_count() for each in (self.poses, self.images))
        )
        messages = []
        if info:
            messages.append((self.infos, self.calibration(header)))
        if picture:
            pixels = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
            for each in people:
                (left, top), (right, bottom) = each.points.min(axis=0), each.points.max(axis=0)
                pixels[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)] = each.colour
            image = Image(
                header=header, height=HEIGHT, width=WIDTH, encoding="bgr8", step=WIDTH * 3
            )
            image.data.frombytes(pixels.tobytes())
            messages.append((self.images, image))
        messages.append((self.poses, message))
        sent, deadline = [], monotonic() + PATIENCE
        while not self.feedback_on(sent):
            assert monotonic() < deadline, "no feedback"
            if sent:  # the poses overtook the skeleton
                self.stamp += 0.001
                set_stamp(header, self.stamp)
            sent.append(deepcopy(header))
            for publisher, each in messages:
                publisher.publish(each)
            patience = monotonic() + 3
            while not self.feedback_on(sent) and monotonic() < patience:
                rclpy.spin_once(self.node, timeout_sec=0.02)
        return self.feedback_on(sent)[0]

    def feedback_on(self, headers):
        return [each for each in self.feedback if each.header in headers]

    def follow(self, *people, images=8, **fields):
        """Send a goal and show people who stand, so that the server knows them."""
        handle, answer = self.send(**fields)
        for _ in range(images):
            feedback = self.see(*people)
        assert feedback.state == Feedback.VISIBLE
        return handle, answer


TIMES = {"timeout", "patience"}


@pytest.fixture(scope="module")
def start_server(tmp_path_factory):
    """Starter of the program in a namespace."""
    started = []

    def start(namespace, **parameters):
        log = tmp_path_factory.mktemp("server") / "log"
        module = "kp_pose_ros.ros.bridges.follow_target"
        remap = ["-r", f"__ns:={namespace}", "-r", f"/clock:={namespace}/clock"]
        parameters = {"use_sim_time": True, **parameters}
        started.append(NodeProcess(log, remap, parameters, module))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture(scope="module")
def server(start_server):
    """Namespace of a server that all tests use, each with goals of its own."""
    namespace = next(_namespaces)
    start_server(namespace).wait_for_log("ready: serves the action")
    return namespace


@pytest.fixture
def robot(server, ros_node):
    robot = Robot(ros_node, server)
    yield robot
    robot.close()


def test_the_nearest_person_is_the_target_with_the_images_header(robot):
    robot.send()
    feedback = robot.see(Someone(3, x=-1.0, z=4.0, colour=BLUE), Someone(7, x=1.0, z=2.0))
    robot.spin_until(lambda: robot.targets)
    assert (feedback.state, feedback.track_id) == (Feedback.VISIBLE, 7)
    assert feedback.distance == pytest.approx(math.hypot(1, 2))
    assert feedback.bearing == pytest.approx(-math.atan2(1, 2))
    assert feedback.bbox.center.position.x == pytest.approx(570, abs=10)
    target = robot.targets[-1]
    assert (target.header, target.header.frame_id) == (feedback.header, "camera_optical")
    assert (target.pose.position.x, target.pose.position.z) == (1.0, 2.0)


def test_the_targets_x_axis_points_at_the_person_and_its_z_axis_up(robot):
    robot.send()
    robot.see(Someone(7, x=1.0, z=2.0))
    robot.spin_until(lambda: robot.targets)
    q = robot.targets[-1].pose.orientation
    x_axis = (1 - 2 * (q.y**2 + q.z**2), 2 * (q.x * q.y + q.z * q.w), 2 * (q.x * q.z - q.y * q.w))
    z_axis = (2 * (q.x * q.z + q.y * q.w), 2 * (q.y * q.z - q.x * q.w), 1 - 2 * (q.x**2 + q.y**2))
    assert x_axis == pytest.approx(np.array((1, 0, 2)) / math.sqrt(5))
    assert z_axis == pytest.approx((0, -1, 0), abs=1e-9)


@pytest.mark.parametrize(
    ("goal", "track_id"),
    [
        pytest.param({"select": Goal.TRACK, "track_id": 3}, 3, id="a track"),
        pytest.param({"select": Goal.REGION, "region": [0.0, 0.0, 0.4, 1.0]}, 3, id="a region"),
        pytest.param({"image_only": True}, 7, id="the tallest"),
    ],
)
def test_a_goal_chooses(robot, goal, track_id):
    robot.send(**goal)
    left, right = Someone(3, x=-1.0, z=4.0, colour=BLUE), Someone(7, x=1.0)
    assert robot.see(left, right).track_id == track_id


def test_whoever_raises_a_hand_is_chosen_once_they_have_for_long_enough(robot):
    robot.send(select=Goal.ACTIVITY, activity="raised_hand")
    states = []
    for _ in range(8):
        left = Someone(3, x=-1.0, z=4.0, colour=BLUE, raised=True)
        states.append(robot.see(left, Someone(7, x=1.0)))
    assert [each.state for each in states[:5]] == [Feedback.SELECTING] * 5
    assert (states[-1].state, states[-1].track_id) == (Feedback.VISIBLE, 3)


def test_a_target_whose_id_changes_stays_the_target(robot):
    robot.follow(Someone(7, x=-1.0), Someone(3, x=1.0, colour=BLUE))
    for _ in range(6):
        feedback = robot.see(Someone(9, x=-1.0), Someone(3, x=1.0, colour=BLUE))
    assert (feedback.state, feedback.track_id) == (Feedback.VISIBLE, 9)
    assert feedback.bearing > 0


def test_a_target_whose_id_goes_to_another_person_is_not_exchanged(robot):
    robot.follow(Someone(7, x=-1.0), Someone(3, x=1.0, colour=BLUE))
    for _ in range(6):
        feedback = robot.see(Someone(7, x=1.0, colour=BLUE), Someone(3, x=-1.0))
        assert feedback.state != Feedback.VISIBLE or feedback.bearing > 0
    assert (feedback.state, feedback.track_id) == (Feedback.VISIBLE, 3)


def test_a_hidden_target_is_predicted_then_lost_and_then_found_again(robot):
    robot.follow(Someone(7), Someone(3, x=1.5, colour=BLUE))
    states = [robot.see(Someone(3, x=1.5, colour=BLUE)) for _ in range(10)]
    assert [each.state for each in states] == [Feedback.PREDICTED] * 5 + [Feedback.LOST] * 5
    assert math.isfinite(states[4].distance)
    assert math.isnan(states[5].distance)
    assert len({each.last_visible.nanosec for each in states}) == 1
    for _ in range(6):
        feedback = robot.see(Someone(8), Someone(3, x=1.5, colour=BLUE))
    assert (feedback.state, feedback.track_id) == (Feedback.VISIBLE, 8)


def test_without_the_image_place_and_size_are_enough(robot):
    robot.send()
    for track_id in (7, 7, 7, 7, 9, 9, 9, 9, 9, 9):
        feedback = robot.see(Someone(track_id, x=-1.0), Someone(3, x=1.0), picture=False)
    assert (feedback.state, feedback.track_id) == (Feedback.VISIBLE, 9)


def test_in_the_image_alone_the_bearing_needs_camera_info(robot):
    robot.send(image_only=True)
    assert math.isnan(robot.see(Someone(7, x=1.0, depth=False)).bearing)
    for _ in range(20):  # it may overtake the poses
        feedback = robot.see(Someone(7, x=1.0, depth=False), info=True)
        if math.isfinite(feedback.bearing):
            break
    assert feedback.bearing == pytest.approx(-math.atan2(1, 3), abs=0.05)
    assert math.isnan(feedback.distance)
    assert robot.targets == []


@pytest.mark.parametrize(
    ("qos", "is_repeated"),
    [
        pytest.param(LATCHED, False, id="sent once, before the goal"),
        pytest.param(qos_profile_sensor_data, True, id="best effort"),
    ],
)
def test_camera_info_is_heard_whatever_its_quality_of_service(robot, qos, is_repeated):
    topic = robot.infos.topic_name
    robot.node.destroy_publisher(robot.infos)
    robot.infos = robot.node.create_publisher(CameraInfo, topic, qos)
    robot.infos.publish(robot.calibration())
    robot.send(image_only=True)
    deadline = monotonic() + PATIENCE
    while math.isnan(robot.see(Someone(7, depth=False), info=is_repeated).bearing):
        assert monotonic() < deadline


@pytest.mark.parametrize(
    ("x", "vanish", "code", "phrase"),
    [
        pytest.param(-1.9, True, Result.LEFT_AT_LEFT, "at its left", id="left"),
        pytest.param(1.9, True, Result.LEFT_AT_RIGHT, "at its right", id="right"),
        pytest.param(0.0, True, Result.HIDDEN, "vanished", id="hidden"),
        pytest.param(0.0, False, Result.NO_DEPTH, "distance is unknown", id="no depth"),
    ],
)
def test_a_lost_target_has_a_reason(robot, x, vanish, code, phrase):
    _, answer = robot.follow(Someone(7, x=x), patience=0.5)
    for _ in range(6):
        robot.see(*[] if vanish else [Someone(7, x=x, depth=False)])
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (ABORTED, code)
    assert phrase in result.result.error_msg
    assert result.result.last_seen.pose.position.x == x


def test_two_of_whom_one_may_be_the_target_are_ambiguous(robot):
    """They wear the same, and stand to both sides of where the target vanished."""
    _, answer = robot.follow(Someone(7), patience=1.0)
    for _ in range(5):
        robot.see()
    for _ in range(6):  # to 1.1 s since the target was seen
        feedback = robot.see(Someone(8, x=-0.2), Someone(9, x=0.2))
        assert feedback.state != Feedback.VISIBLE
    assert robot.wait_for(answer).result.error_code == Result.AMBIGUOUS


def test_a_silent_camera_ends_the_goal(robot):
    _, answer = robot.follow(Someone(7))
    robot.pass_time_until(answer.done)
    result = answer.result().result
    assert result.error_code == Result.CAMERA_SILENT
    assert result.error_msg == "no message arrived on 'poses' for 2 s"


def test_stamps_that_jump_back_end_the_goal(robot):
    _, answer = robot.follow(Someone(7))
    robot.stamp -= 5
    robot.poses.publish(stamped(robot.stamp))
    assert robot.wait_for(answer).result.error_code == Result.TIME_JUMPED


def test_stamps_that_stand_still_end_the_goal(robot):
    """Else a target that has left would count as just seen, forever."""
    _, answer = robot.follow(Someone(7))
    robot.pass_time_until(answer.done, lambda: robot.poses.publish(stamped(robot.stamp)))
    assert answer.result().result.error_code == Result.TIME_JUMPED
    assert "stand still at 1000.8" in answer.result().result.error_msg


def set_time(time, seconds):
    time.sec, time.nanosec = divmod(round(seconds * 1e9), 10**9)


def set_stamp(header, seconds):
    set_time(header.stamp, seconds)


def stamped(seconds):
    message = PoseArray(image_width=WIDTH, image_height=HEIGHT, skeleton="coco17")
    set_stamp(message.header, seconds)
    return message


@pytest.mark.parametrize(
    ("people", "phrase"),
    [
        pytest.param([], "shows nobody", id="nobody"),
        pytest.param([Someone(-1)], "set the pose node's parameter tracking.enabled", id="no ids"),
        pytest.param([Someone(7, depth=False)], "depth.enabled", id="no depth"),
        pytest.param([Someone(7)], "none of 1 people in the latest image matched", id="another"),
    ],
)
def test_a_timeout_says_why_nobody_was_found(robot, people, phrase):
    _, answer = robot.send(select=Goal.TRACK, track_id=5, timeout=1.0)
    robot.see(*people)
    robot.pass_time_until(answer.done)
    result = answer.result().result
    assert result.error_code == Result.NOT_FOUND
    assert result.error_msg.startswith("timeout after 1 s: ")
    assert phrase in result.error_msg


def test_a_goal_that_makes_no_sense_is_aborted_with_one_sentence(robot):
    _, answer = robot.send(select=Goal.ACTIVITY, activity="dancing")
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (ABORTED, Result.INVALID_GOAL)
    assert "the activity 'dancing' has no rule: expected one of" in result.result.error_msg
    assert "\n" not in result.result.error_msg


def test_an_activity_of_keypoints_that_the_model_lacks_is_an_invalid_goal(robot):
    robot.skeleton.publish(Skeleton(name="coco17", keypoint_names=["nose"]))
    _, answer = robot.send(select=Goal.ACTIVITY, activity="raised_hand")
    robot.spin_until(robot.poses.get_subscription_count)
    while not answer.done():  # until the skeleton has come
        robot.poses.publish(stamped(robot.stamp))
        rclpy.spin_once(robot.node, timeout_sec=0.1)
    assert answer.result().result.error_code == Result.INVALID_GOAL
    assert "needs the keypoint left_eye" in answer.result().result.error_msg


def test_a_new_goal_replaces_the_one_before(robot):
    _, first = robot.follow(Someone(7))
    robot.send(select=Goal.TRACK, track_id=3)
    result = robot.wait_for(first)
    assert (result.status, result.result.error_code) == (ABORTED, Result.PREEMPTED)
    assert robot.see(Someone(7), Someone(3, x=1.0)).track_id == 3


def test_a_cancelled_goal_ends_at_once_and_frees_the_topics(robot):
    handle, answer = robot.follow(Someone(7))
    robot.wait_for(handle.cancel_goal_async())
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (CANCELED, Result.NONE)
    assert result.result.last_seen.pose.position.z == 3.0
    topics = (robot.poses, robot.images, robot.infos)
    robot.spin_until(lambda: not any(each.get_subscription_count() for each in topics))


def test_poses_that_contradict_themselves_are_left_out(robot):
    robot.follow(Someone(7))
    robot.stamp += 0.1
    bad = stamped(robot.stamp)
    bad.poses = [Someone(7).to_msg()]
    bad.poses[0].keypoints[0].x = math.nan
    robot.poses.publish(bad)
    assert robot.see(Someone(7)).state == Feedback.VISIBLE


def test_the_program_aborts_the_goal_at_its_end(start_server, ros_node):
    namespace = next(_namespaces)
    process = start_server(namespace)
    process.wait_for_log(f"ready: serves the action '{namespace}/follow_target'")
    robot = Robot(ros_node, namespace)
    _, answer = robot.follow(Someone(7))
    code = process.stop(signal.SIGINT)
    assert (code, "Traceback" in process.log) == (0, False)
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (ABORTED, Result.STOPPED)
    robot.close()


def test_a_file_of_rules_that_cannot_be_read_ends_the_program_with_a_sentence(start_server):
    process = start_server(next(_namespaces), rules="/gone.yaml")
    assert process.wait() == 1
    assert "/gone.yaml" in process.log
    assert "Traceback" not in process.log
