# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros follow_target`: an action that follows one person among others."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.action.server import CancelResponse
from rclpy.task import Future
from std_msgs.msg import Header

from kp_pose_ros.action import FollowTarget
from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.activities.rules import Rule, load_rules
from kp_pose_ros.errors import FrameError, SettingsError, brief
from kp_pose_ros.following.follower import NOBODY
from kp_pose_ros.following.person import People
from kp_pose_ros.following.pursuit import Pursuit, Report, State
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.output.pose_reader import read_pose_array
from kp_pose_ros.poses import UNTRACKED, Array
from kp_pose_ros.ros.bridges.bridge import NO_IMAGE, Bridge, Handle
from kp_pose_ros.ros.bridges.choice import Choice
from kp_pose_ros.ros.bridges.records import declare_rules
from kp_pose_ros.ros.bridges.sightings import Sightings
from kp_pose_ros.ros.messages import nanoseconds, time_to_msg
from kp_pose_ros.ros.process import run_node
from kp_pose_ros.ros.qos import RESULTS
from kp_pose_ros.timing import LATE, OddStamps, Throttle

Result, Feedback = FollowTarget.Result, FollowTarget.Feedback

_TICK = 0.05  # seconds between two checks of the timeouts
_NS = 10**9
_SILENCE = 2 * _NS  # without poses
_UNUSUAL = 5 * _NS  # without a target, before the log says why
_STILL = _NS  # nanoseconds for which all images may have one stamp; a loss would never be noticed
_STOPPED = Result.STOPPED, "the server was stopped"
_STATES = {
    State.VISIBLE: Feedback.VISIBLE,
    State.PREDICTED: Feedback.PREDICTED,
    State.LOST: Feedback.LOST,
}


@dataclass(slots=True, eq=False)
class OpenGoal:
    """The open goal.

    Attributes:
        handle: the action server's.
        choice: the person that it asks for.
        changed: when the goal or the latest usable poses arrived, in nanoseconds of the server's
            clock.
        ended: completed with the result by the first event that ends the goal.
        rule: the rule of the activity that it asks for; None if it asks for none.
        pursuit: follows the chosen person; None: nobody has been chosen yet.
        newest: stamp of the newest image, nanoseconds.
        advanced: when that stamp first arrived, in nanoseconds of the server's clock.
        has_jumped: whether the latest image was left out because of its stamp.
        last_seen: the latest message on `target`.
        missing: why nobody has been chosen so far.
    """

    handle: Handle
    choice: Choice
    changed: int
    ended: Future[Any] = field(default_factory=Future)
    rule: Rule | None = None
    pursuit: Pursuit | None = None
    newest: int | None = None
    advanced: int = 0
    has_jumped: bool = False
    odd_stamps: OddStamps[Any] = field(default_factory=OddStamps)
    last_seen: PoseStamped = field(default_factory=PoseStamped)
    missing: str = "no message arrived on 'poses'"

    def end(self, error_code: int = Result.NONE, error_msg: str = "") -> None:
        """End the goal, unless it has already ended."""
        if not self.ended.done():
            self.ended.set_result(
                Result(error_code=error_code, error_msg=error_msg, last_seen=self.last_seen)
            )

    def check_time(self, now: int) -> None:
        """End the goal if it has waited too long; `now` is in nanoseconds of the server's clock."""
        if not 0 < self.changed <= now:  # simulated time has just begun or restarted
            self.changed = now
        waited, timeout = now - self.changed, self.choice.timeout
        if self.pursuit is not None:
            if waited >= _SILENCE:
                silence = f"no usable message arrived on 'poses' for {_SILENCE / _NS:g} s"
                self.end(Result.CAMERA_SILENT, silence)
        elif timeout and waited >= timeout:
            self.end(Result.NOT_FOUND, f"timeout after {timeout / _NS:g} s: {self.missing}")

    def check_stamp(self, stamp: int, now: int) -> bool:
        """Return whether an image counts: not if it is the first one after a jump of the stamps.

        End the goal if the stamps jump back or stand still; `now` as above.
        """
        self.pursuit, self.newest, self.advanced = self.odd_stamps.resolve(
            stamp, (self.pursuit, self.newest, self.advanced)
        )
        step = 0 if self.newest is None else stamp - self.newest
        self.has_jumped = not (self.has_jumped or -LATE <= step <= _SILENCE)
        if self.has_jumped:
            return False
        if step < -LATE:
            back = -step / _NS
            self.end(Result.TIME_JUMPED, f"the stamps of the images jumped back by {back:g} s")
        elif self.newest is None or stamp > self.newest or now < self.advanced:
            self.newest, self.advanced = stamp, now
        elif now - self.advanced > _STILL:
            still = (now - self.advanced) / _NS
            self.end(
                Result.TIME_JUMPED,
                f"the stamps of the images stand still at {stamp / _NS:.3f} s for {still:.1f} s: "
                "expected the time of each image, so set up the camera's driver to stamp it",
            )
        return not self.ended.done()

    def update(self, people: People, header: Header, active: list[int]) -> Report | None:
        """Process an image; return its report on the target, None while nobody is chosen."""
        stamp = nanoseconds(header.stamp)
        if self.pursuit is not None:
            return self.pursuit.update(people, stamp)
        index = self.choice.choose(people, active)
        if index == NOBODY:
            return None
        self.pursuit = Pursuit(
            people,
            index,
            stamp,
            patience=self.choice.effective_patience,
            needs_position=not self.choice.image_only,
        )
        return self.pursuit.report(index, stamp)


class FollowTargetServer(Bridge):
    """Serves one FollowTarget goal at a time; a new goal replaces the open one.

    It subscribes to `poses`, `image` and `camera_info` only while a goal is open.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start the server; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: the rules of the activities, or images of this image_transport, cannot be
                read.
        """
        super().__init__("follow_target", **node_arguments)
        self._rules = load_rules(declare_rules(self))
        self._goal: OpenGoal | None = None
        self._explained = ""
        self._throttle = Throttle(10.0)
        self._sightings = Sightings(self, self._on_poses)
        self._activities = Activities(())
        self._target = self.create_publisher(PoseStamped, "target", RESULTS)
        self._timer = self.create_steady_timer(_TICK, self._tick)
        self._timer.cancel()
        self._server = self.serve_goals(
            FollowTarget, "follow_target", self._execute, self._on_cancel
        )

    async def finish(self) -> None:
        """Abort the open goal, so that no client waits forever."""
        self.stopped = True
        if self._goal is not None:
            self._goal.end(*_STOPPED)
        await self._server.wait_for_clients()

    async def _execute(self, handle: Handle) -> Any:
        """Follow until the goal ends; return its result."""
        try:
            choice = _choice(handle.request)
            goal = OpenGoal(handle, choice, self.now(), rule=choice.rule(self._rules))
        except SettingsError as error:
            handle.abort()
            return Result(error_code=Result.INVALID_GOAL, error_msg=str(error))
        if self._goal is not None:
            self._goal.end(
                Result.PREEMPTED, "a new goal replaced this one: only one is active at a time"
            )
        if handle.is_cancel_requested:  # before it began
            goal.end()
        if self.stopped:
            goal.end(*_STOPPED)
        self._goal = goal
        self._activities = Activities([goal.rule] if goal.rule else [])
        self._sightings.want(True)
        self._timer.reset()
        result: Any = await goal.ended
        if self._goal is goal:
            self._goal = None
        if handle.is_cancel_requested:
            handle.canceled()
            return Result(last_seen=result.last_seen)
        handle.abort()
        return result

    def _on_cancel(self, handle: Handle) -> CancelResponse:
        # Not by goal id: in Humble, messages with arrays are equal if any one element is.
        if self._goal is not None and self._goal.handle is handle:
            self._goal.end()
        return CancelResponse.ACCEPT

    def _tick(self) -> None:
        goal = self._goal
        if goal is not None:
            goal.check_time(self.now())
            self._sightings.watch()
            if goal.pursuit is None and self.now() - goal.changed > _UNUSUAL:
                self._explain(goal.missing)
        else:
            self._timer.cancel()
            self._sightings.want(False)

    def _explain(self, missing: str) -> None:
        """Log why nobody has been selected yet, once for each reason in a row."""
        if missing != self._explained and self._throttle.passes("nobody"):
            self._explained = missing
            self.get_logger().info(f"nobody has been selected yet: {missing}")

    def _on_poses(self, message: PoseArray, content: bytes) -> None:
        goal = self._goal
        if goal is None or goal.ended.done():
            return
        if not goal.check_stamp(nanoseconds(message.header.stamp), self.now()):
            return
        names = self._sightings.keypoint_names(message)
        if not message.image_width:
            goal.end(Result.INVALID_GOAL, NO_IMAGE)
        elif names is None:
            name, topic = brief(message.skeleton), self.skeleton_topic()
            goal.missing = f"the skeleton of the poses, {name}, was not received on '{topic}'"
        elif goal.rule is not None and (missing := goal.rule.missing(names)):
            goal.end(
                Result.INVALID_GOAL,
                f"the activity {goal.rule.name} needs the keypoint {missing[0]}, which the "
                f"skeleton does not have: it has {', '.join(names)}",
            )
        else:
            self._look(goal, message, content)

    def _look(self, goal: OpenGoal, message: PoseArray, content: bytes) -> None:
        """Look for the target in the poses of an image."""
        try:
            fields = read_pose_array(np.frombuffer(content, np.uint8))
            record = self._sightings.record(fields)
            self._activities.update(record)
            people = self._sightings.people(message, fields.poses)
        except (FrameError, ValueError, SettingsError) as error:
            self.get_logger().warning(
                f"a message on 'poses' was ignored: {error}", throttle_duration_sec=10.0
            )
            return
        if goal.pursuit is None:
            goal.missing = _why_nobody(goal.choice, people, len(message.poses))
        else:
            goal.changed = self.now()
        active = self._activities.active(record["robot"], record["camera"])
        report = goal.update(people, message.header, list(active))
        self._publish(goal, message.header, people, report)

    def _publish(
        self, goal: OpenGoal, header: Header, people: People, report: Report | None
    ) -> None:
        """Publish the target and the feedback of an image; end the goal if the target is lost."""
        feedback = Feedback(header=header, track_id=UNTRACKED, distance=math.nan, bearing=math.nan)
        if report is not None:
            feedback.state = _STATES[report.state]
            feedback.last_visible = time_to_msg(report.last_visible)
            position = None if goal.choice.image_only else report.position
            if position is not None:
                x, _, z = position
                feedback.distance, feedback.bearing = math.hypot(x, z), -math.atan2(x, z)
                goal.last_seen = _pose(header, position)
                self._target.publish(goal.last_seen)
            if report.index != NOBODY:
                _describe(feedback, people, report.index)
                if position is None:
                    center = feedback.bbox.center.position
                    feedback.bearing = self._sightings.bearing(center.x, center.y, people.size)
        goal.handle.publish_feedback(feedback)
        if report is not None and report.loss is not None:
            patience = goal.choice.effective_patience / _NS
            goal.end(getattr(Result, report.loss.name), f"{report.loss.value} (for {patience:g} s)")


def _choice(goal: Any) -> Choice:
    return Choice(
        select=goal.select,
        activity=goal.activity,
        track_id=goal.track_id,
        region=tuple(goal.region),
        image_only=goal.image_only,
        timeout=nanoseconds(goal.timeout),
        patience=nanoseconds(goal.patience),
    )


def _describe(feedback: Any, people: People, index: int) -> None:
    """Fill in the fields that are known only from an image that shows the target."""
    feedback.track_id = int(people.track_ids[index])
    left, top, right, bottom = people.poses.boxes[index].tolist()
    center = feedback.bbox.center.position
    center.x, center.y = (left + right) / 2, (top + bottom) / 2
    feedback.bbox.size_x, feedback.bbox.size_y = right - left, bottom - top


def _why_nobody(choice: Choice, people: People, count: int) -> str:
    """Return why nobody in an image was chosen."""
    if not count:
        return "the latest image shows nobody"
    if not len(people):
        return "nobody has a track_id: set the pose node's parameter tracking.enabled"
    if not choice.image_only and not np.isfinite(people.positions).any():
        return (
            "nobody's distance is known: give the pose node depth (depth.enabled), or set "
            "image_only in the goal"
        )
    return f"none of {len(people)} people in the latest image matched"


def _pose(header: Header, position: Array) -> PoseStamped:
    """Return the target's pose: x points from the camera to the person, z up.

    A robot that drives there and takes this orientation faces the person.
    """
    pose = PoseStamped(header=header)
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = position.tolist()
    yaw = math.atan2(-position[0], position[2])
    # First the rotation from the optical frame (x right, y down, z forward) to x forward and z up,
    # then the yaw about z: the product of the quaternions (0.5, -0.5, 0.5, 0.5) and (0, 0, sin,
    # cos).
    half_sin, half_cos = 0.5 * math.sin(yaw / 2), 0.5 * math.cos(yaw / 2)
    rotation = pose.pose.orientation
    rotation.x = rotation.w = half_cos - half_sin
    rotation.z = half_cos + half_sin
    rotation.y = -rotation.z
    return pose


def main() -> int:
    """Run the server; return the process's exit code."""
    return run_node(
        "follow_target",
        "Serves the action follow_target (kp_pose_ros/FollowTarget) from the topic poses.",
        lambda _: FollowTargetServer(),
        finish=FollowTargetServer.finish,
    )


if __name__ == "__main__":
    sys.exit(main())
