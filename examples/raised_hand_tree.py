# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""raised_hand.py as a behaviour tree: wait until a person raises a hand, then turn towards them.

It needs py_trees: `apt install ros-$ROS_DISTRO-py-trees`, or `pip install py_trees`.
"""

from __future__ import annotations

from py_trees.behaviour import Behaviour
from py_trees.common import Status
from py_trees.composites import Sequence
from raised_hand import RaisedHand, drive

from kp_pose_ros.ros.process import start_program

CENTRED = 0.1  # of half the image's width: the person counts as in front of the robot


class HandRaised(Behaviour):
    """Runs while nobody raises a hand, or poses are old or missing."""

    def __init__(self, robot: Robot) -> None:
        super().__init__("hand raised")
        self.robot = robot

    def update(self) -> Status:
        return Status.RUNNING if self.robot.raised_hand() is None else Status.SUCCESS


class TurnTowardsThem(Behaviour):
    """Runs until they are in front of the robot."""

    def __init__(self, robot: Robot) -> None:
        super().__init__("turn towards them")
        self.robot = robot

    def update(self) -> Status:
        offset = self.robot.raised_hand() or 0.0
        if abs(offset) < CENTRED:
            return Status.SUCCESS
        self.robot.wanted = -offset
        return Status.RUNNING


class Robot(RaisedHand):
    """Ticks the tree before each command. It stands still unless the tree wants it to turn."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = 0.0
        # Without memory: each tick checks again whether a hand is raised and poses are recent.
        self.tree = Sequence("greet", False, [HandRaised(self), TurnTowardsThem(self)])

    def command(self) -> None:
        self.wanted = 0.0
        self.tree.tick_once()
        self.turn(self.wanted)


if __name__ == "__main__":
    start_program("raised_hand_tree", __doc__)
    drive(Robot())
