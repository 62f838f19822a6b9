# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import signal
from itertools import count
from math import floor
from time import monotonic

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from kp_pose_ros.action import WaitForPose
from kp_pose_ros.msg import Keypoint, Keypoint3D, KeypointPose, PoseArray, Skeleton
from node_process import PATIENCE
from peer import greet
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor

from kp_pose_ros.ros.bridges.matching import Condition
from kp_pose_ros.ros.bridges.wait_for_pose import Wait, WaitForPoseServer
from kp_pose_ros.ros.qos import LATCHED, RESULTS

NAMES = ["nose", "left_wrist"]
SUCCEEDED, ABORTED, CANCELED = (
    GoalStatus.STATUS_SUCCEEDED,
    GoalStatus.STATUS_ABORTED,
    GoalStatus.STATUS_CANCELED,
)
Result = WaitForPose.Result
_namespaces = (f"planned_{n}" for n in count())


def person(score=0.9, x=320.0, wrist=Keypoint.OBSERVED, distance=None):
    pose = KeypointPose(score=score, keypoints=[Keypoint(state=1), Keypoint(state=wrist)])
    pose.bbox.center.position.x, pose.bbox.center.position.y = x, 240.0
    if distance is not None:
        pose.keypoints_3d = [Keypoint3D(valid=True), Keypoint3D()]
        pose.keypoints_3d[0].position.z = distance
    return pose


class Goal:
    """One goal as its client sees it."""

    def __init__(self, planner, goal):
        self.feedback = []
        sent = planner.client.send_goal_async(
            goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
        )
        planner.spin_until(sent.done)
        self.handle = sent.result()
        self.answer = self.handle.get_result_async()

    @property
    def status(self):
        return self.answer.result().status

    @property
    def result(self):
        return self.answer.result().result


class Planner:
    """A planner, the action's server, and what plays the pose node, spun by one executor."""

    def __init__(self):
        namespace = next(_namespaces)
        self.server = WaitForPoseServer(namespace=namespace)
        self.node = rclpy.create_node("planner", namespace=namespace)
        self.client = ActionClient(self.node, WaitForPose, "wait_for_pose")
        self.poses = self.node.create_publisher(PoseArray, "poses", RESULTS)
        self.skeleton = self.node.create_publisher(Skeleton, "skeleton", LATCHED)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.server)
        self.executor.add_node(self.node)
        self.spin_until(self.client.server_is_ready)

    def reset(self):
        """End all goals, and forget the skeleton and the time that a test has set."""
        for wait in self.server._waits:
            wait.end()
        self.spin_until(lambda: not self.server._waits)
        self.spin_until(lambda: not self.poses.get_subscription_count())
        vars(self.server).pop("now", None)
        self.server._poses._skeleton = Skeleton()

    def close(self):
        self.executor.shutdown()
        self.client.destroy()
        self.node.destroy_node()
        self.server.destroy_node()

    def spin_until(self, condition, timeout=PATIENCE):
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"nothing in {timeout} s"
            self.executor.spin_once(0.02)

    def describe(self):
        self.skeleton.publish(Skeleton(name="coco17", keypoint_names=NAMES))

    def send(self, *, hold=0.0, timeout=0.0, **fields):
        goal = WaitForPose.Goal(**fields)
        goal.hold.sec, goal.hold.nanosec = floor(hold), int(hold % 1 * 1e9)
        goal.timeout.sec, goal.timeout.nanosec = floor(timeout), int(timeout % 1 * 1e9)
        return Goal(self, goal)

    def see(self, *people, at=1.0, size=(480, 640)):
        """Publish one image's poses, as soon as the server subscribes."""
        message = PoseArray(image_height=size[0], image_width=size[1], poses=people)
        message.skeleton = "coco17"
        message.header.frame_id = "camera"
        message.header.stamp.sec, message.header.stamp.nanosec = int(at), int(at % 1 * 1e9)
        self.spin_until(self.poses.get_subscription_count)
        self.poses.publish(message)
        return message


@pytest.fixture(scope="module")
def the_planner(ros_node):  # for its rclpy.init
    planner = Planner()
    yield planner
    planner.close()


@pytest.fixture
def planner(the_planner):
    yield the_planner
    the_planner.reset()


def test_a_goal_succeeds_with_those_who_match_and_the_images_header(planner):
    goal = planner.send(min_score=0.5)
    message = planner.see(person(0.9), person(0.3))
    planner.spin_until(goal.answer.done)
    assert (goal.status, goal.result.error_code) == (SUCCEEDED, Result.NONE)
    assert goal.result.poses.header == message.header
    assert (goal.result.poses.image_width, goal.result.poses.skeleton) == (640, "coco17")
    assert [each.score for each in goal.result.poses.poses] == [pytest.approx(0.9)]


def test_the_feedback_of_every_image_has_those_who_match_now(planner):
    goal = planner.send(count=2, min_score=0.5)
    planner.see(person(0.9), person(0.3), at=1.0)
    planner.see(at=1.25)
    planner.spin_until(lambda: len(goal.feedback) == 2)
    assert [len(each.poses.poses) for each in goal.feedback] == [1, 0]
    assert goal.feedback[1].poses.header.stamp.nanosec == 250_000_000
    assert not goal.answer.done()


@pytest.mark.parametrize(
    ("wanted", "unfit", "fit"),
    [
        pytest.param({"count": 2}, [person()], [person(), person()], id="how many"),
        pytest.param(
            {"keypoints": ["left_wrist"]},
            [person(wrist=Keypoint.ABSENT)],
            [person()],
            id="keypoints by name",
        ),
        pytest.param(
            {"region": [0.5, 0.0, 1.0, 1.0]}, [person(x=100.0)], [person(x=500.0)], id="region"
        ),
        pytest.param(
            {"max_distance": 3.0},
            [person(), person(distance=4.0)],
            [person(distance=2.0)],
            id="distance",
        ),
    ],
)
def test_a_goal_waits_until_its_condition_is_met(planner, wanted, unfit, fit):
    planner.describe()
    goal = planner.send(**wanted)
    planner.see(*unfit)
    planner.spin_until(lambda: goal.feedback)
    assert not goal.answer.done()
    planner.see(*fit)
    planner.spin_until(goal.answer.done)
    assert goal.status == SUCCEEDED


def test_a_goal_can_ask_for_how_long(planner):
    goal = planner.send(hold=0.5)
    for stamp in (1.0, 1.25):
        planner.see(person(), at=stamp)
    planner.spin_until(lambda: len(goal.feedback) == 2)
    assert goal.feedback[1].held.nanosec == 250_000_000
    assert not goal.answer.done()
    planner.see(person(), at=1.5)
    planner.spin_until(goal.answer.done)
    assert goal.result.poses.header.stamp.nanosec == 500_000_000


def test_keypoints_wait_for_a_skeleton_that_comes_late(planner):
    named, anybody = planner.send(keypoints=["nose"]), planner.send()
    planner.see(person())
    planner.spin_until(anybody.answer.done)
    assert named.feedback == []
    planner.describe()
    planner.spin_until(lambda: planner.server._poses._skeleton.name)
    planner.see(person())
    planner.spin_until(named.answer.done)
    assert named.status == SUCCEEDED


@pytest.mark.parametrize(
    ("wanted", "phrase"),
    [
        pytest.param({"count": 0}, "count is 0", id="nobody"),
        pytest.param({"min_score": 7.0}, "min_score is 7", id="a score above 1"),
        pytest.param({"region": [0.1]}, "region is", id="half a region"),
        pytest.param({"hold": -1.0}, "hold is -1 s", id="a negative hold"),
        pytest.param({"timeout": -0.5}, "timeout is -0.5 s", id="a negative timeout"),
    ],
)
def test_a_goal_that_makes_no_sense_is_aborted_with_the_reason(planner, wanted, phrase):
    goal = planner.send(**wanted)
    planner.spin_until(goal.answer.done)
    assert (goal.status, goal.result.error_code) == (ABORTED, Result.INVALID_GOAL)
    assert phrase in goal.result.error_msg


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        pytest.param({"region": [0.0, 0.0, 0.5, 1.0]}, ABORTED, id="a region"),
        pytest.param({"max_distance": 2.0}, ABORTED, id="a distance"),
        pytest.param({}, SUCCEEDED, id="anybody"),
    ],
)
def test_poses_of_several_cameras_have_no_image_to_compare_with(planner, wanted, status):
    goal = planner.send(**wanted)
    planner.see(person(), size=(0, 0))
    planner.spin_until(goal.answer.done)
    assert goal.status == status
    assert ("as those of poses_3d" in goal.result.error_msg) == (status == ABORTED)


def test_a_keypoint_that_nobody_has_is_aborted_with_its_name(planner):
    planner.describe()
    goal = planner.send(keypoints=["tail"])
    planner.spin_until(lambda: planner.server._poses._skeleton.name)
    planner.see(person())
    planner.spin_until(goal.answer.done)
    assert (goal.status, goal.result.error_code) == (ABORTED, Result.INVALID_GOAL)
    assert "'tail'" in goal.result.error_msg


def test_poses_that_contradict_each_other_or_the_skeleton_are_left_out(planner):
    planner.describe()
    goal = planner.send(keypoints=["left_wrist"])
    planner.spin_until(lambda: planner.server._poses._skeleton.name)
    short = person()
    short.keypoints = short.keypoints[:1]
    planner.see(short, person(), at=1.0)
    planner.see(short, at=1.1)
    planner.see(person(), at=1.2)
    planner.spin_until(goal.answer.done)
    assert goal.result.poses.header.stamp.nanosec == pytest.approx(200_000_000, abs=1)
    assert len(goal.feedback) == 1


@pytest.mark.parametrize(
    ("stamps", "people", "goal", "reason"),
    [
        pytest.param([], 0, {}, "no message arrived on 'poses'", id="no images"),
        pytest.param([1.0], 1, {"count": 2}, "at most 1 of 2 people matched", id="too few people"),
        pytest.param(
            [1.0, 1.25], 1, {"hold": 5.0}, "at most 0.25 s without a break: expected 5 s", id="hold"
        ),
        pytest.param([0.0] * 3, 1, {"hold": 0.1}, "images are 0 s apart", id="stamps stand still"),
        pytest.param([9.0, 1.0], 1, {"hold": 0.1}, "images are -8 s apart", id="a step back"),
        pytest.param([1.0, 3.5], 1, {"hold": 0.1}, "images are 2.5 s apart", id="a slow camera"),
        pytest.param([1.0], 1, {"keypoints": ["nose"]}, "skeleton of the poses", id="no skeleton"),
    ],
)  # fmt: skip
def test_a_timeout_says_why_the_goal_was_not_met(planner, stamps, people, goal, reason):
    now = [10**9]  # the server's time, which stands still until all images have come
    planner.server.now = lambda: now[0]
    sent = planner.send(timeout=1.0, **goal)
    for number, stamp in enumerate(stamps, 1):
        planner.see(*[person()] * people, at=stamp)
        (wait,) = planner.server._waits
        planner.spin_until(lambda n=number, wait=wait: len(sent.feedback) == n or wait.unnamed)
    now[0] += 10**9
    planner.spin_until(sent.answer.done)
    assert (sent.status, sent.result.error_code) == (ABORTED, Result.TIMEOUT)
    assert sent.result.error_msg.startswith("timeout after 1 s: ")
    assert reason in sent.result.error_msg


def test_a_halted_goal_is_cancelled_at_once_without_poses(planner):
    goal = planner.send()
    cancelled = goal.handle.cancel_goal_async()
    planner.spin_until(cancelled.done)
    assert len(cancelled.result().goals_canceling) == 1
    planner.spin_until(goal.answer.done)
    assert (goal.status, goal.result.error_code) == (CANCELED, Result.NONE)
    assert list(goal.result.poses.poses) == []


def test_a_clients_next_goal_takes_the_place_of_its_first(planner):
    first = planner.send(client="greet")
    other = planner.send(client="follow", count=2)
    second = planner.send(client="greet", count=2)
    planner.spin_until(first.answer.done)
    assert (first.status, first.result.error_code) == (ABORTED, Result.PREEMPTED)
    assert "'greet'" in first.result.error_msg
    planner.see(person(), person())
    planner.spin_until(lambda: second.answer.done() and other.answer.done())
    assert (second.status, other.status) == (SUCCEEDED, SUCCEEDED)


def test_many_goals_end_each_by_itself(planner):
    goals = [planner.send(count=n) for n in range(1, 21)]
    planner.spin_until(goals[19].handle.cancel_goal_async().done)
    planner.see(*[person()] * 10)
    planner.spin_until(lambda: sum(goal.answer.done() for goal in goals) == 11)
    assert [goal.status for goal in goals[:10]] == [SUCCEEDED] * 10
    assert goals[19].status == CANCELED
    planner.see(*[person()] * 20)
    planner.spin_until(lambda: all(goal.answer.done() for goal in goals))
    assert [goal.status for goal in goals[10:19]] == [SUCCEEDED] * 9


def test_poses_are_listened_to_only_while_somebody_waits(planner):
    assert planner.poses.get_subscription_count() == 0
    for _ in range(2):
        goal = planner.send()
        planner.see(person())
        planner.spin_until(goal.answer.done)
        planner.spin_until(lambda: planner.poses.get_subscription_count() == 0)


@pytest.mark.parametrize(
    ("clock", "ends"),
    [
        pytest.param([10, 11, 12], True, id="time passes"),
        pytest.param([0, 1000, 1001], False, id="simulated time begins"),
        pytest.param([0, 1000, 1002], True, id="simulated time began"),
        pytest.param([10, 3, 4], False, id="the bag starts again"),
        pytest.param([10, 3, 5], True, id="the bag has started again"),
    ],
)
def test_a_timeout_counts_the_servers_time(clock, ends):
    wait = Wait(None, Condition(timeout=2 * 10**9), clock[0] * 10**9)
    for now in clock:
        wait.check_time(now * 10**9)
    assert wait.ended.done() == ends


def test_a_burst_of_goals_is_accepted_as_a_whole(ros_node):
    """The client's queue holds ten answers, so it has to spin while the server takes them."""
    planner, server = Planner(), SingleThreadedExecutor()
    planner.executor.remove_node(planner.server)
    sent = [planner.client.send_goal_async(WaitForPose.Goal(count=9)) for _ in range(30)]
    server.add_node(planner.server)
    deadline = monotonic() + PATIENCE
    while not all(each.done() for each in sent):
        assert monotonic() < deadline, sum(each.done() for each in sent)
        server.spin_once(0.01)
        for _ in range(3):  # ahead of the server, on every distribution
            planner.executor.spin_once(0.0)
    assert all(each.result().accepted for each in sent)
    server.shutdown()
    planner.close()


def test_a_server_that_is_about_to_end_rejects_goals(planner, monkeypatch):
    monkeypatch.setattr(planner.server, "stopped", True)
    sent = planner.client.send_goal_async(WaitForPose.Goal())
    planner.spin_until(sent.done)
    assert not sent.result().accepted


def test_a_server_that_ends_waits_until_its_clients_have_asked_for_results(planner, monkeypatch):
    monkeypatch.setattr(planner.server, "stopped", False)
    sent = planner.client.send_goal_async(WaitForPose.Goal())
    planner.spin_until(sent.done)
    finished = planner.executor.create_task(planner.server.finish)
    planner.spin_until(lambda: planner.server.stopped and not planner.server._waits)
    assert not finished.done()
    answer = sent.result().get_result_async()
    planner.spin_until(lambda: finished.done() and answer.done())
    assert answer.result().result.error_code == Result.STOPPED


def test_the_program_says_that_it_is_ready_and_aborts_open_goals_at_its_end(
    start_program, ros_node
):
    namespace = f"/{next(_namespaces)}"
    server = start_program("kp_pose_ros.ros.bridges.wait_for_pose", "-r", f"__ns:={namespace}")
    server.wait_for_log(f"ready: serves the action '{namespace}/wait_for_pose'")
    client = ActionClient(ros_node, WaitForPose, f"{namespace}/wait_for_pose")
    refused = WaitForPose.Goal(count=0)
    greet(ros_node, client, refused)
    answer = wait_for(ros_node, client.send_goal_async(WaitForPose.Goal())).get_result_async()
    # The request for the result has to arrive first; a second one is answered after it.
    other = wait_for(ros_node, client.send_goal_async(refused))
    wait_for(ros_node, other.get_result_async())
    code = server.stop(signal.SIGINT)
    assert (code, "Traceback" in server.log) == (0, False)
    result = wait_for(ros_node, answer)
    assert (result.status, result.result.error_code) == (ABORTED, Result.STOPPED)
    client.destroy()


def wait_for(node, future):
    rclpy.spin_until_future_complete(node, future, timeout_sec=PATIENCE)
    assert future.done()
    return future.result()
