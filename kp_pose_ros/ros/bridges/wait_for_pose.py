# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros wait_for_pose`: an action that waits for people, for planners."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.action.server import CancelResponse
from rclpy.task import Future

from kp_pose_ros.action import WaitForPose
from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.msg import KeypointPose, PoseArray
from kp_pose_ros.poses import Floats, Poses
from kp_pose_ros.ros.bridges.bridge import NO_IMAGE, Bridge, Handle, PosesOnDemand
from kp_pose_ros.ros.bridges.matching import MAX_GAP, Condition, Hold
from kp_pose_ros.ros.messages import nanoseconds, poses_from_msg
from kp_pose_ros.ros.process import run_node

Result = WaitForPose.Result

_TICK = 0.05  # seconds between two checks of the timeouts
_NS = 10**9
_STOPPED = Result.STOPPED, "the server was stopped"


@dataclass(slots=True, eq=False)
class Wait:
    """One open goal."""

    handle: Handle  # the action server's
    condition: Condition  # what the goal waits for
    began: int  # when the goal arrived, in nanoseconds of the server's clock
    # completed with the result by the first event that ends the wait
    ended: Future[Any] = field(default_factory=Future)
    hold: Hold = field(default_factory=Hold)  # for how long enough people have matched
    # the largest number of people who matched in one image; -1 before the first image
    most: int = -1
    unnamed: bool = False  # whether there were images whose keypoints have no known names

    def end(self, error_code: int = Result.NONE, error_msg: str = "", **fields: Any) -> None:
        """End the wait, unless it has already ended."""
        if not self.ended.done():
            self.ended.set_result(Result(error_code=error_code, error_msg=error_msg, **fields))

    def update(self, message: PoseArray, poses: Poses, names: list[str], distances: Floats) -> None:
        """Check one image's poses: send feedback, and end the wait if the condition is met."""
        self.unnamed = bool(self.condition.keypoints and not names)
        if self.ended.done() or self.unnamed:
            return
        size = message.image_height, message.image_width
        if not message.image_width and (self.condition.region or self.condition.needs_distance):
            self.end(
                Result.INVALID_GOAL,
                f"the goal has a region or a range of distances, but {NO_IMAGE}",
            )
            return
        try:
            matches = np.flatnonzero(self.condition.matches(poses, size, names, distances))
        except SettingsError as error:
            self.end(Result.INVALID_GOAL, str(error))
            return
        self.most = max(self.most, len(matches))
        is_met = len(matches) >= self.condition.count
        held = self.hold.update(is_met, nanoseconds(message.header.stamp))
        matched = PoseArray(
            header=message.header,
            image_width=message.image_width,
            image_height=message.image_height,
            skeleton=message.skeleton,
            poses=[message.poses[index] for index in matches],
        )
        self.handle.publish_feedback(
            WaitForPose.Feedback(poses=matched, held=Duration(sec=held // _NS, nanosec=held % _NS))
        )
        if is_met and held >= self.condition.hold:
            self.end(poses=matched)

    def check_time(self, now: int) -> None:
        """End the wait if it has lasted too long; `now` is in nanoseconds of the server's clock."""
        if not 0 < self.began <= now:  # simulated time has just begun or restarted
            self.began = now
        timeout = self.condition.timeout
        if timeout and now - self.began >= timeout:
            self.end(Result.TIMEOUT, f"timeout after {timeout / _NS:g} s: {self._why()}")

    def _why(self) -> str:
        """Return why the condition has not been met."""
        condition, hold = self.condition, self.hold
        if self.most < 0:
            return (
                "the skeleton of the poses is unknown: expected a matching message on 'skeleton'"
                if self.unnamed
                else "no message arrived on 'poses'"
            )
        if self.most < condition.count:
            return f"at most {self.most} of {condition.count} people matched in one image"
        why = (
            f"enough people matched, but for at most {hold.longest / _NS:g} s without a break: "
            f"expected {condition.hold / _NS:g} s"
        )
        if hold.gap is not None and not 0 < hold.gap <= MAX_GAP:
            why += (
                f"; the stamps of the latest two images are {hold.gap / _NS:g} s apart, more than "
                f"0 and at most {MAX_GAP / _NS:g} s are needed"
            )
        return why


class WaitForPoseServer(Bridge):
    """Serves any number of WaitForPose goals at once, in one thread.

    It subscribes to `poses` only while a goal is open, so that the network need not run otherwise.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start the server; `node_arguments` are those of rclpy's Node."""
        super().__init__("wait_for_pose", **node_arguments)
        self._waits: list[Wait] = []
        self._poses = PosesOnDemand(self, self._on_poses)
        self._timer = self.create_steady_timer(_TICK, self._tick)
        self._timer.cancel()
        self._server = self.serve_goals(
            WaitForPose, "wait_for_pose", self._execute, self._on_cancel
        )

    async def finish(self) -> None:
        """Abort the open goals, so that no client waits forever."""
        self.stopped = True
        for wait in self._waits:
            wait.end(*_STOPPED)
        await self._server.wait_for_clients()

    async def _execute(self, handle: Handle) -> Any:
        """Wait until a goal ends; return its result."""
        try:
            wait = Wait(handle, _condition(handle.request), self.now())
        except SettingsError as error:
            handle.abort()
            return Result(error_code=Result.INVALID_GOAL, error_msg=str(error))
        if handle.is_cancel_requested:  # before it began
            wait.end()
        if self.stopped:
            wait.end(*_STOPPED)
        self._add(wait)
        self.get_logger().debug(f"a goal waits for {wait.condition}")
        result: Any = await wait.ended
        self._waits.remove(wait)
        self.get_logger().debug(f"a goal ends: {result.error_msg or 'met, or canceled'}")
        if handle.is_cancel_requested:
            handle.canceled()
            return Result()
        if result.error_code == Result.NONE:
            handle.succeed()
        else:
            handle.abort()
        return result

    def _add(self, wait: Wait) -> None:
        client = wait.handle.request.client
        for other in self._waits:
            if client and other.handle.request.client == client:
                other.end(Result.PREEMPTED, f"the client {brief(client)} sent another goal")
        self._waits.append(wait)
        if self._poses.want(True):
            self._timer.reset()

    def _on_cancel(self, handle: Handle) -> CancelResponse:
        for wait in self._waits:
            # Not by goal id: in Humble, messages with arrays are equal if any one element is.
            if wait.handle is handle:
                wait.end()
        return CancelResponse.ACCEPT

    def _on_poses(self, message: PoseArray) -> None:
        try:
            poses = poses_from_msg(message)
        except ValueError as error:
            self.get_logger().warning(
                f"a message on 'poses' was ignored: {error}",
                throttle_duration_sec=10.0,
            )
            return
        names, distances = self._names_for(message), _distances(message)
        for wait in self._waits:
            wait.update(message, poses, names, distances)

    def _names_for(self, message: PoseArray) -> list[str]:
        """Return the names of the keypoints; empty unless the poses have the latest skeleton."""
        names = self._poses.skeleton_of(message).keypoint_names
        fits = all(len(each.keypoints) == len(names) for each in message.poses)
        return list(names) if fits else []

    def _tick(self) -> None:
        if not self._waits and self._poses.want(False):
            self._timer.cancel()
        now = self.now()
        for wait in self._waits:
            wait.check_time(now)


def _condition(goal: Any) -> Condition:
    return Condition(
        count=goal.count,
        min_score=goal.min_score,
        keypoints=tuple(goal.keypoints),
        region=tuple(goal.region),
        min_distance=goal.min_distance,
        max_distance=goal.max_distance or math.inf,
        hold=nanoseconds(goal.hold),
        timeout=nanoseconds(goal.timeout),
    )


def _distances(message: PoseArray) -> Floats:
    """Return (n,), the median distance of each pose's keypoints in metres; NaN if unknown."""
    return np.array([_distance(person) for person in message.poses], np.float32)


def _distance(person: KeypointPose) -> float:
    known = [each.position for each in person.keypoints_3d if each.valid]
    if not known:
        return math.nan
    return float(np.median([math.hypot(each.x, each.y, each.z) for each in known]))


def main() -> int:
    """Run the server; return the process's exit code."""
    return run_node(
        "wait_for_pose",
        "Serves the action wait_for_pose (kp_pose_ros/WaitForPose) from the topic poses.",
        lambda _: WaitForPoseServer(),
        finish=WaitForPoseServer.finish,
    )


if __name__ == "__main__":
    sys.exit(main())
