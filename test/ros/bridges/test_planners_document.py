# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an author of a planner copies from docs/planners.md works as it stands there."""

import math
import re
from pathlib import Path

import pytest
import yaml
from geometry_msgs.msg import Point, PoseStamped, Vector3
from kp_pose_ros.action import FollowTarget
from kp_pose_ros.msg import KeypointPose, Motion, PoseArray

from kp_pose_ros.ros.bridges.follow_target import _choice

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "planners.md").read_text()
ACTION = (ROOT / "action" / "FollowTarget.action").read_text()


def names_in(function, given):
    """Run the snippet that defines a function of one argument; return its names at the end."""
    (code,) = (
        each
        for each in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
        if f"def {function}(" in each
    )
    scope = {"math": math, "PoseStamped": PoseStamped, "PoseArray": PoseArray}
    exec(f"{code}    globals().update(locals())\n", scope)
    scope[function](given)
    return scope


def test_a_target_has_a_bearing_to_the_left_and_a_distance():
    target = PoseStamped()
    target.pose.position = Point(x=-1.0, y=0.3, z=1.0)
    found = names_in("on_target", target)
    assert found["bearing"] == pytest.approx(math.pi / 4)
    assert found["distance"] == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("frame_id", "is_moving", "known"),
    [
        pytest.param("odom", True, {"place", "deviation", "velocity"}, id="over ground"),
        pytest.param("odom", False, {"place", "deviation"}, id="new"),
        pytest.param("camera", True, set(), id="in the camera's frame"),
    ],
)
def test_motion_counts_in_the_frame_that_was_asked_for(frame_id, is_moving, known):
    motion = Motion(
        position=Point(x=3.0, y=1.0, z=0.9),
        velocity=Vector3(y=1.25),
        position_valid=True,
        velocity_valid=is_moving,
        frame_id=frame_id,
    )
    motion.position_covariance[0] = 0.04
    found = names_in("on_poses", PoseArray(poses=[KeypointPose(motion=motion)]))
    expected = {"place": (3.0, 1.0), "deviation": 0.2, "velocity": (0.0, 1.25)}
    assert known == expected.keys() & found.keys()
    assert all(found[name] == expected[name] for name in known)


GOALS = re.findall(r'kp_pose_ros/action/FollowTarget "(.*)"', DOCUMENT)


@pytest.mark.parametrize("goal", GOALS)
def test_the_server_accepts_the_goals(goal):
    _choice(FollowTarget.Goal(**yaml.safe_load(goal)))


def test_the_programs_exist_and_every_result_is_explained():
    assert len(GOALS) == 2
    programs = (ROOT / "CMakeLists.txt").read_text()
    for name in re.findall(r"ros2 run kp_pose_ros (\w+)\n", DOCUMENT):
        assert f"  {name}=kp_pose_ros." in programs
    codes = re.findall(r"^uint16 (\w+)=", ACTION, re.MULTILINE)
    assert len(codes) > 10
    for code in codes:
        assert re.search(rf"`(\.\.\.)?{code.removeprefix('LEFT_AT')}`|`{code}`", DOCUMENT)
