# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros wait_for_pose`: the action with which a planner asks for a person."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.action.server import ActionServer, CancelResponse, ServerGoalHandle
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble's place of it
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.task import Future

from kp_pose_ros.action import WaitForPose
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.msg import KeypointPose, PoseArray, Skeleton
from kp_pose_ros.poses import Floats, Poses
from kp_pose_ros.ros.bridges.matching import Hold, Wanted
from kp_pose_ros.ros.messages import poses_from_msg
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.ros.signals import run_until_told
from kp_pose_ros.ros.stamps import nanoseconds

Result = WaitForPose.Result

_TICK = 0.05  # seconds between two looks at the clock while somebody waits
_NS = 10**9


@dataclass(slots=True, eq=False)
class Wait:
    """One goal that is being waited for.

    Attributes:
        handle: the action server's.
        wanted: who fits.
        began: when the goal came, in nanoseconds of the server's clock.
        ended: gets the result, by whatever ends the wait first.
        hold: for how long enough people have fitted.
    """

    handle: ServerGoalHandle[Any, Any, Any]
    wanted: Wanted
    began: int
    ended: Future[Any] = field(default_factory=Future)
    hold: Hold = field(default_factory=Hold)

    def end(self, error_code: int = Result.NONE, error_msg: str = "", **fields: Any) -> None:
        """End the wait, unless it has ended."""
        if not self.ended.done():
            self.ended.set_result(Result(error_code=error_code, error_msg=error_msg, **fields))

    def look(self, message: PoseArray, poses: Poses, names: list[str], distances: Floats) -> None:
        """Look at one image's poses: send feedback, and end the wait if it was for these."""
        size = message.image_height, message.image_width
        try:
            fitting = self.wanted.fitting(poses, size, names, distances)
        except SettingsError as error:
            self.end(Result.INVALID_GOAL, str(error))
            return
        held = self.hold.update(
            int(fitting.sum()) >= self.wanted.count, nanoseconds(message.header.stamp)
        )
        matches = PoseArray(
            header=message.header,
            image_width=message.image_width,
            image_height=message.image_height,
            skeleton=message.skeleton,
            poses=[message.poses[index] for index in np.flatnonzero(fitting)],
        )
        self.handle.publish_feedback(
            WaitForPose.Feedback(poses=matches, held=Duration(sec=held // _NS, nanosec=held % _NS))
        )
        goal = self.handle.request
        if len(matches.poses) >= self.wanted.count and held >= nanoseconds(goal.hold):
            self.end(poses=matches)

    def check_time(self, now: int) -> None:
        """End the wait if it has lasted too long; `now` is in nanoseconds of the server's clock."""
        if not 0 < self.began <= now:  # simulated time had not begun, or its bag has started again
            self.began = now
        timeout = nanoseconds(self.handle.request.timeout)
        if timeout and now - self.began >= timeout:
            self.end(
                Result.TIMEOUT,
                f"too few people fitted within {timeout / _NS:g} s: expected {self.wanted.count}",
            )


class WaitForPoseServer(Node):
    """Serves WaitForPose goals, any number at once, in one thread.

    It listens to `poses` only while somebody waits: the network need not run for nobody.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start the server; `node_arguments` are those of rclpy's Node."""
        super().__init__("wait_for_pose", **node_arguments)
        self._waits: list[Wait] = []
        self._skeleton = Skeleton()
        self._poses: Subscription[Any] | None = None
        self.create_subscription(Skeleton, "skeleton", self._on_skeleton, LATCHED)
        # By the machine's own clock: simulated time may stand still.
        self._timer = self.create_timer(
            _TICK, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        self._timer.cancel()
        self._server = ActionServer(
            self,
            WaitForPose,
            "wait_for_pose",
            execute_callback=self._execute,
            cancel_callback=self._on_cancel,
        )

    async def _execute(self, handle: ServerGoalHandle[Any, Any, Any]) -> Any:
        """Wait for a goal's end; return its result."""
        try:
            wait = Wait(handle, _wanted(handle.request), self._now())
        except SettingsError as error:
            handle.abort()
            return Result(error_code=Result.INVALID_GOAL, error_msg=str(error))
        if handle.is_cancel_requested:  # before it began
            wait.end()
        self._take_in(wait)
        result: Any = await wait.ended
        self._waits.remove(wait)
        if handle.is_cancel_requested:
            handle.canceled()
            return Result()
        if result.error_code == Result.NONE:
            handle.succeed()
        else:
            handle.abort()
        return result

    def _take_in(self, wait: Wait) -> None:
        client = wait.handle.request.client
        for other in self._waits:
            if client and other.handle.request.client == client:
                other.end(Result.PREEMPTED, f"'{client}' sent another goal")
        self._waits.append(wait)
        if self._poses is None:
            self._poses = self.create_subscription(PoseArray, "poses", self._on_poses, RESULTS)
            self._timer.reset()

    def _on_cancel(self, handle: ServerGoalHandle[Any, Any, Any]) -> CancelResponse:
        for wait in self._waits:
            # Not by their ids: Humble's messages with arrays are equal if one element is.
            if wait.handle is handle:
                wait.end()
        return CancelResponse.ACCEPT

    def _on_skeleton(self, message: Skeleton) -> None:
        self._skeleton = message

    def _on_poses(self, message: PoseArray) -> None:
        try:
            poses = poses_from_msg(message)
        except ValueError as error:
            self.get_logger().warning(
                f"a message on 'poses' was left out: its poses contradict each other ({error})",
                throttle_duration_sec=10.0,
            )
            return
        names, distances = self._names_for(message), _distances(message)
        for wait in self._waits:
            if not wait.ended.done() and (names or not wait.wanted.keypoints):
                wait.look(message, poses, names, distances)

    def _names_for(self, message: PoseArray) -> list[str]:
        """Return the names of the keypoints; none while the skeleton is not known, or another's."""
        names, same = self._skeleton.keypoint_names, self._skeleton.name == message.skeleton
        fits = all(len(each.keypoints) == len(names) for each in message.poses)
        return list(names) if same and fits else []

    def _tick(self) -> None:
        if not self._waits and self._poses is not None:
            self._timer.cancel()
            self.destroy_subscription(self._poses)
            self._poses = None
        now = self._now()
        for wait in self._waits:
            wait.check_time(now)

    def _now(self) -> int:
        nanoseconds: int = self.get_clock().now().nanoseconds
        return nanoseconds


def _wanted(goal: Any) -> Wanted:
    return Wanted(
        count=goal.count,
        min_score=goal.min_score,
        keypoints=tuple(goal.keypoints),
        region=tuple(goal.region),
        min_distance=goal.min_distance,
        max_distance=goal.max_distance or math.inf,
    )


def _distances(message: PoseArray) -> Floats:
    """Return each pose's distance in metres: the median of its keypoints', or not a number."""
    return np.array([_distance(person) for person in message.poses], np.float32)


def _distance(person: KeypointPose) -> float:
    known = [each.position for each in person.keypoints_3d if each.valid]
    if not known:
        return math.nan
    return float(np.median([math.hypot(each.x, each.y, each.z) for each in known]))


def main() -> int:
    """Serve until told to end."""
    return run_until_told("wait_for_pose", WaitForPoseServer)


if __name__ == "__main__":
    sys.exit(main())
