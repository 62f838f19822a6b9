# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros people`: positions and velocities as people_msgs/People, and TF frames."""

from __future__ import annotations

import math
import sys
from typing import Any

from geometry_msgs.msg import Point
from std_msgs.msg import Header

from kp_pose_ros.msg import KeypointPose, Motion, PoseArray
from kp_pose_ros.ros.bridges.body_frames import BodyFrames, body_id
from kp_pose_ros.ros.bridges.bridge import Bridge, PosesOnDemand
from kp_pose_ros.ros.process import has_package, run_node
from kp_pose_ros.ros.qos import RESULTS

_TICK = 0.1  # seconds between two checks for subscribers


class PeopleNode(Bridge):
    """Publishes the people in `poses` whose position is known.

    It subscribes to `poses` only while they are needed (`people` has a subscriber, or TF frames are
    broadcast), so that the network need not run otherwise.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Start; `node_arguments` are those of rclpy's Node.

        Raises:
            SettingsError: a parameter cannot be used.
        """
        from people_msgs.msg import People

        super().__init__("people", **node_arguments)
        about = "Broadcast the TF frames body_<id>, even if people has no subscriber."
        self._frames = BodyFrames(self) if self.declare("frames", False, about) else None
        self._poses = PosesOnDemand(self, self._on_poses)
        self._people = self.create_publisher(People, "people", RESULTS)
        self.create_steady_timer(_TICK, self._tick)
        self.ready(
            f"publishes the people in '{self.resolve_topic_name('poses')}' on "
            f"'{self.resolve_topic_name('people')}'"
        )

    def _tick(self) -> None:
        self._poses.want(self._frames is not None or self._people.get_subscription_count() > 0)

    def _on_poses(self, message: PoseArray) -> None:
        if self._people.get_subscription_count():
            self._people.publish(people_in(message))
        if self._frames is not None:
            self._frames.broadcast(message, self._poses.skeleton_of(message).keypoint_names)


def people_in(message: PoseArray) -> Any:
    """Return the people in a PoseArray as people_msgs/People, in the frame of their `motion`."""
    from people_msgs.msg import People

    people = [each for each in message.poses if _is_known(each.motion)]
    # All motions of an image have the same frame.
    frame_id = people[0].motion.frame_id if people else message.header.frame_id
    header = Header(stamp=message.header.stamp, frame_id=frame_id)
    return People(header=header, people=[_person(each) for each in people])


def _is_known(motion: Motion) -> bool:
    at, to = motion.position, motion.velocity
    return bool(motion.position_valid) and math.isfinite(at.x + at.y + at.z + to.x + to.y + to.z)


def _person(pose: KeypointPose) -> Any:
    from people_msgs.msg import Person

    motion = pose.motion
    return Person(
        name=body_id(pose.track_id) if pose.track_id >= 0 else "",
        position=motion.position,
        velocity=Point(x=motion.velocity.x, y=motion.velocity.y, z=motion.velocity.z),
        reliability=float(pose.score),
        tagnames=["velocity_valid"],
        tags=[str(motion.velocity_valid).lower()],
    )


def main() -> int:
    """Run the node; return the process's exit code."""
    mend = "build people_msgs of github.com/wg-perception/people, branch ros2, in your workspace"
    if not has_package("people", "people_msgs", mend):
        return 1
    return run_node(
        "people",
        "Publishes people's positions and velocities (people_msgs/People), and their TF frames.",
        lambda _: PeopleNode(),
    )


if __name__ == "__main__":
    sys.exit(main())
