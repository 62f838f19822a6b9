# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The action as its client sees it, which also plays the camera and the pose node."""

import math
import signal
from itertools import count
from time import monotonic

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from kp_pose_ros.action import FollowTarget
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from node_process import PATIENCE, NodeProcess
from peer import greet
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from sighted import BLUE, FOCAL, NAMES, RED, SIZE, Someone, poses_of

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output import cdr
from kp_pose_ros.poses import Motion
from kp_pose_ros.ros.bridges.follow_target import FollowTargetServer
from kp_pose_ros.ros.compat import PrintableLogger
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.skeleton import Skeleton, Vocabulary

VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ("person",))
ABORTED, CANCELED = GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED
Goal, Result, Feedback = FollowTarget.Goal, FollowTarget.Result, FollowTarget.Feedback
VISIBLE = Feedback.VISIBLE
PIXELS = {RED: (40, 40, 200), BLUE: (200, 60, 40)}
_namespaces = (f"/followed_{n}" for n in count())


class Robot:
    """The server, whose time is `now` in nanoseconds, and what surrounds it, in one executor."""

    def __init__(self, namespace=None):
        """With a namespace, the server there is another process."""
        self.executor, self._nodes = SingleThreadedExecutor(), []
        self.now, self.stamp, self.targets, self.feedback = 10**12, 1000.0, [], []
        if namespace is None:
            server = FollowTargetServer(namespace=(namespace := next(_namespaces)))
            server.now = lambda: self.now
            self._nodes.append(server)
        self.node = rclpy.create_node("robot", namespace=namespace)
        self._nodes.append(self.node)
        for each in self._nodes:
            self.executor.add_node(each)
        self.client = ActionClient(self.node, FollowTarget, "follow_target")
        self.poses = self.node.create_publisher(PoseArray, "poses", RESULTS)
        self.images = self.node.create_publisher(Image, "image", RESULTS)
        self.infos = self.node.create_publisher(CameraInfo, "camera_info", RESULTS)
        self.skeleton = self.node.create_publisher(SkeletonMsg, "skeleton", LATCHED)
        self.skeleton.publish(SkeletonMsg(name="coco17", keypoint_names=NAMES))
        self.node.create_subscription(PoseStamped, "target", self.targets.append, RESULTS)
        self.spin_until(self.client.server_is_ready)

    def close(self):
        self.executor.shutdown()
        self.client.destroy()
        for each in self._nodes:
            each.destroy_node()

    def spin_until(self, condition):
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline
            self.executor.spin_once(0.02)

    def wait_for(self, future):
        self.spin_until(future.done)
        return future.result()

    def send(self, *, timeout=0.0, patience=0.0, **fields):
        """Send a goal; return its handle and the future of its answer."""
        goal = Goal(**fields)
        set_time(goal.timeout, timeout)
        set_time(goal.patience, patience)
        self.feedback.clear()
        on_feedback = lambda message: self.feedback.append(message.feedback)  # noqa: E731
        handle = self.wait_for(self.client.send_goal_async(goal, feedback_callback=on_feedback))
        return handle, handle.get_result_async()

    def see(self, *people, picture=True, info=False):
        """Show an image of people; return the feedback.

        It is sent again if the poses overtook the skeleton.
        """
        self.stamp += 0.1
        topics = self.poses, self.images
        self.spin_until(lambda: all(each.get_subscription_count() for each in topics))
        headers, found, deadline = [], [], monotonic() + PATIENCE
        while not found:
            assert monotonic() < deadline
            message = poses(self.stamp + 0.001 * len(headers), *people)
            headers.append(message.header)
            if info:
                self.infos.publish(calibration(message.header))
            if picture:
                self.images.publish(image(message.header, *people))
            self.poses.publish(message)
            retry = monotonic() + 3
            while not found and monotonic() < retry:
                self.executor.spin_once(0.02)
                found = [each for each in self.feedback if each.header in headers]
        return found[0]

    def follow(self, *people, picture=True, **fields):
        """Send a goal and show people who stand, so that the server knows them."""
        handle, answer = self.send(**fields)
        for _ in range(8):
            feedback = self.see(*people, picture=picture)
        assert feedback.state == VISIBLE
        return handle, answer


def set_time(time, seconds):
    time.sec, time.nanosec = divmod(round(seconds * 1e9), 10**9)


def poses(stamp, *people):
    """Return a message of the pose node with depth."""
    motion = Motion.unknown(len(people))
    for index, each in enumerate(people):
        if each.depth:
            motion.position[index], motion.position_variance[index] = (each.x, 0.0, each.z), 0.01
    header = Header(round(stamp * 1e9), "camera_optical")
    content = cdr.pose_array(header, SIZE, poses_of(*people), VOCABULARY, motion=motion)
    return deserialize_message(content, PoseArray)


def image(header, *people):
    pixels = np.full((*SIZE, 3), 128, np.uint8)
    for each, box in zip(people, poses_of(*people).boxes, strict=True):
        left, top, right, bottom = box.clip(0).astype(int).tolist()
        pixels[top:bottom, left:right] = PIXELS[each.colour]
    shape = {"height": SIZE[0], "width": SIZE[1], "step": 3 * SIZE[1]}
    message = Image(header=header, encoding="bgr8", **shape)
    message.data.frombytes(pixels.tobytes())
    return message


def calibration(header):
    height, width = SIZE
    k = [FOCAL, 0.0, width / 2, 0.0, FOCAL, height / 2, 0.0, 0.0, 1.0]
    lens = {"d": [0.0] * 5, "distortion_model": "plumb_bob"}
    return CameraInfo(header=header, k=k, width=width, height=height, **lens)


@pytest.fixture
def robot(ros_node):  # for its rclpy.init
    robot = Robot()
    yield robot
    robot.close()


def test_the_nearest_person_is_the_target_and_its_pose_points_away_from_the_camera(robot):
    robot.send()
    people = Someone(3, x=-1.0, z=4.0, colour=BLUE), Someone(7, x=1.0, z=2.0)
    while not robot.targets:  # until the subscriber is known
        robot.see(*people)
    feedback = robot.see(*people)
    robot.spin_until(lambda: robot.targets[-1].header == feedback.header)
    target = robot.targets[-1]
    assert (feedback.state, feedback.track_id) == (VISIBLE, 7)
    assert feedback.distance == pytest.approx(math.hypot(1, 2))
    assert feedback.bearing == pytest.approx(-math.atan2(1, 2))
    assert feedback.bbox.center.position.x == pytest.approx(570, abs=10)
    assert target.header.frame_id == "camera_optical"
    assert (target.pose.position.x, target.pose.position.z) == (1.0, 2.0)
    q = target.pose.orientation
    x_axis, _, z_axis = Rotation.from_quat((q.x, q.y, q.z, q.w)).as_matrix().T
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
    people = Someone(3, x=-1.0, z=4.0, colour=BLUE, raised=True), Someone(7, x=1.0)
    states = [robot.see(*people) for _ in range(8)]
    assert [each.state for each in states[:5]] == [Feedback.SELECTING] * 5
    assert (states[-1].state, states[-1].track_id) == (VISIBLE, 3)


@pytest.mark.parametrize(
    ("target", "other", "picture"),
    [
        pytest.param(9, 3, True, id="changes"),
        pytest.param(9, 3, False, id="changes, and there are no images"),
        pytest.param(3, 7, True, id="goes to another person"),
    ],
)
def test_a_target_whose_id_changes_stays_the_target(robot, target, other, picture):
    robot.follow(Someone(7, x=-1.0), Someone(3, x=1.0, colour=BLUE), picture=picture)
    for _ in range(6):
        people = Someone(other, x=1.0, colour=BLUE), Someone(target, x=-1.0)
        feedback = robot.see(*people, picture=picture)
        assert feedback.state != VISIBLE or feedback.bearing > 0
    assert (feedback.state, feedback.track_id) == (VISIBLE, target)


def test_a_hidden_target_is_predicted_then_lost_and_then_found_again(robot):
    robot.follow(Someone(7), Someone(3, x=1.5, colour=BLUE))
    states = [robot.see(Someone(3, x=1.5, colour=BLUE)) for _ in range(10)]
    assert [each.state for each in states] == [Feedback.PREDICTED] * 5 + [Feedback.LOST] * 5
    assert math.isfinite(states[4].distance)
    assert math.isnan(states[5].distance)
    assert len({each.last_visible.nanosec for each in states}) == 1
    deadline = monotonic() + PATIENCE
    while (feedback := robot.see(Someone(8), Someone(3, x=1.5, colour=BLUE))).state != VISIBLE:
        assert monotonic() < deadline  # a late image has no clothes
    assert feedback.track_id == 8


@pytest.mark.parametrize(
    ("qos", "is_repeated"),
    [
        pytest.param(RESULTS, True, id="reliable"),
        pytest.param(qos_profile_sensor_data, True, id="best effort"),
        pytest.param(LATCHED, False, id="sent once, before the goal"),
    ],
)
def test_in_the_image_alone_the_bearing_needs_camera_info_of_any_qos(robot, qos, is_repeated):
    robot.send(image_only=True)
    someone = Someone(7, x=1.0)  # whose distance does not count
    assert math.isnan(robot.see(someone).bearing)
    robot.infos = robot.node.create_publisher(CameraInfo, "camera_info", qos)
    if not is_repeated:
        robot.infos.publish(calibration(poses(robot.stamp).header))
        robot.send(image_only=True)
    deadline = monotonic() + PATIENCE
    while math.isnan((feedback := robot.see(someone, info=is_repeated)).bearing):
        assert monotonic() < deadline
    assert feedback.bearing == pytest.approx(-math.atan2(1, 3), abs=0.05)
    assert math.isnan(feedback.distance)
    assert robot.targets == []
    of_larger_images = calibration(poses(robot.stamp).header)
    of_larger_images.width *= 2
    robot.infos.publish(of_larger_images)
    while not math.isnan(robot.see(someone).bearing):
        assert monotonic() < deadline


# Both wear what the target wore, and stand to both sides of where it vanished.
TWINS = [Someone(8, x=-0.2), Someone(9, x=0.2)]


@pytest.mark.parametrize(
    ("x", "seen", "code", "phrase"),
    [
        pytest.param(-1.9, [], Result.LEFT_AT_LEFT, "at its left", id="left"),
        pytest.param(1.9, [], Result.LEFT_AT_RIGHT, "at its right", id="right"),
        pytest.param(0.0, [], Result.HIDDEN, "vanished", id="hidden"),
        pytest.param(0.0, [Someone(7, depth=False)], Result.NO_DEPTH, "is unknown", id="no depth"),
        pytest.param(0.0, TWINS, Result.AMBIGUOUS, "not certain", id="ambiguous"),
    ],
)
def test_a_lost_target_has_a_reason(robot, x, seen, code, phrase):
    _, answer = robot.follow(Someone(7, x=x), patience=1.0)
    for people in [seen if seen != TWINS else []] * 5 + [seen] * 6:
        robot.see(*people)
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (ABORTED, code)
    assert phrase in result.result.error_msg
    assert result.result.last_seen.pose.position.x == x


@pytest.mark.parametrize(
    ("stamp", "code", "phrase"),
    [
        pytest.param(None, Result.CAMERA_SILENT, "no usable message arrived on 'pos", id="no"),
        pytest.param(995.8, Result.TIME_JUMPED, "jumped back by 5 s", id="jumping"),
        # Else a target that has left would count as just seen, forever.
        pytest.param(1000.8, Result.TIME_JUMPED, "stand still at 1000.8", id="standing"),
    ],
)
def test_a_goal_needs_images_with_advancing_stamps(robot, stamp, code, phrase):
    _, answer = robot.follow(Someone(7))
    while not answer.done():
        robot.now += 10**8
        if stamp is not None:
            robot.poses.publish(poses(stamp))
        for _ in range(4):
            robot.executor.spin_once(0.02)
    assert answer.result().result.error_code == code
    assert phrase in answer.result().result.error_msg


def test_a_goal_ends_when_poses_cannot_be_used_any_more(robot):
    _, answer = robot.follow(Someone(7))
    while not answer.done():
        robot.now += 10**8
        robot.stamp += 0.1
        message = poses(robot.stamp, Someone(7))
        message.skeleton = "another model's"
        robot.poses.publish(message)
        for _ in range(4):
            robot.executor.spin_once(0.02)
    assert answer.result().result.error_code == Result.CAMERA_SILENT


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(-999.0, id="far in the past"),
        pytest.param(1.0, id="a little in the future"),
        pytest.param(1e6, id="far in the future"),
    ],
)
def test_one_image_with_an_odd_stamp_ends_no_goal(robot, odd):
    _, answer = robot.follow(Someone(7))
    robot.poses.publish(poses(robot.stamp + odd, Someone(7 if abs(odd) < 5 else -1)))
    for _ in range(3):
        assert robot.see(Someone(7)).state == VISIBLE
    assert not answer.done()


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
    robot.now += 10**9
    result = robot.wait_for(answer).result
    assert result.error_code == Result.NOT_FOUND
    assert result.error_msg.startswith("timeout after 1 s: ")
    assert phrase in result.error_msg


def test_the_log_says_why_nobody_has_been_selected_for_long(robot, monkeypatch):
    logged = []
    monkeypatch.setattr(PrintableLogger, "info", lambda _, text, **__: logged.append(text))
    robot.send()
    robot.see(Someone(-1))
    robot.now += 6 * 10**9
    robot.spin_until(lambda: logged)
    assert logged[0].startswith("nobody has been selected yet: nobody has a track_id: set")


def test_a_goal_that_makes_no_sense_is_aborted_with_one_sentence(robot):
    _, answer = robot.send(select=Goal.ACTIVITY, activity="dancing")
    result = robot.wait_for(answer)
    assert (result.status, result.result.error_code) == (ABORTED, Result.INVALID_GOAL)
    assert "the activity 'dancing' has no rule: expected one of" in result.result.error_msg
    assert "\n" not in result.result.error_msg


def test_poses_that_belong_to_no_image_are_an_invalid_goal(robot):
    _, answer = robot.send()
    joined = poses(robot.stamp)
    joined.image_width = joined.image_height = 0
    while not answer.done():
        robot.poses.publish(joined)
        robot.executor.spin_once(0.1)
    assert answer.result().result.error_code == Result.INVALID_GOAL
    assert "as those of poses_3d" in answer.result().result.error_msg


def test_an_activity_of_keypoints_that_the_model_lacks_is_an_invalid_goal(robot):
    robot.skeleton.publish(SkeletonMsg(name="coco17", keypoint_names=["nose"]))
    _, answer = robot.send(select=Goal.ACTIVITY, activity="raised_hand")
    while not answer.done():  # until the skeleton has come
        robot.poses.publish(poses(robot.stamp))
        robot.executor.spin_once(0.1)
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
    for topic in (robot.poses, robot.images, robot.infos):
        robot.spin_until(lambda: not topic.get_subscription_count())  # noqa: B023


def test_poses_that_contradict_themselves_are_left_out(robot):
    robot.follow(Someone(7))
    bad = poses(robot.stamp + 0.05, Someone(7))
    bad.poses[0].keypoints[0].x = math.nan
    robot.poses.publish(bad)
    assert robot.see(Someone(7)).state == VISIBLE


@pytest.fixture
def start_server(tmp_path):
    """Starter of the program in a namespace."""
    module, started = "kp_pose_ros.ros.bridges.follow_target", []

    def start(namespace, **parameters):
        remap = ["-r", f"__ns:={namespace}"]
        started.append(NodeProcess(tmp_path / "log", remap, parameters, module))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_the_program_aborts_the_goal_at_its_end(start_server, ros_node):
    process = start_server(namespace := next(_namespaces))
    process.wait_for_log(f"ready: serves the action '{namespace}/follow_target'")
    robot = Robot(namespace)
    greet(robot.node, robot.client, Goal(select=9))
    robot.executor.add_node(robot.node)  # the greeting has used another executor
    _, answer = robot.follow(Someone(7))
    assert (process.stop(signal.SIGINT), "Traceback" in process.log) == (0, False)
    assert robot.wait_for(answer).result.error_code == Result.STOPPED
    robot.close()


def test_a_file_of_rules_that_cannot_be_read_ends_the_program_with_a_sentence(start_server):
    process = start_server(next(_namespaces), rules="/gone.yaml")
    assert process.wait() == 1
    assert "/gone.yaml" in process.log
    assert "Traceback" not in process.log
