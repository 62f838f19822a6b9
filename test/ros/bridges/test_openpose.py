# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import numpy as np
import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.ros.bridges.openpose import body_indices, normalized_boxes, openpose_joints
from kp_pose_ros.skeleton import Skeleton

DEFINITION = Path(__file__).parents[3] / "tools/ros_env/hri_msgs/msg/Skeleton2D.msg"
JOINTS = {
    name.lower(): int(index)
    for name, index in re.findall(r"^uint8 (\w+)=(\d+)", DEFINITION.read_text(), re.M)
}
NAMES = Skeleton.builtin("coco17").keypoint_names
SIZE = (200, 400)


def one_pose(names=NAMES, **keypoints):
    """A pose whose keypoints all have different places and scores, except those given."""
    points = np.array([[(10 * i, 5 * i, 0.5 + i / 100) for i in range(len(names))]], np.float32)
    states = np.full((1, len(names)), OBSERVED, np.uint8)
    for name, (x, y, score, state) in keypoints.items():
        points[0, names.index(name)], states[0, names.index(name)] = (x, y, score), state
    return Poses(np.zeros((1, 4), np.float32), np.ones(1, np.float32), points, states=states)


def joints_of(poses, names=NAMES):
    return openpose_joints(poses, body_indices("it", names), SIZE)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(NAMES, id="the usual order"),
        pytest.param(NAMES[::-1], id="another order"),
        pytest.param(("tail", *NAMES[:9], "hat", *NAMES[9:]), id="more than a body"),
    ],
)
def test_joints_are_found_by_their_names(names):
    pose = one_pose(names)
    joints = joints_of(pose, names)
    assert joints.shape == (1, 18, 3)
    assert len(JOINTS) == 18
    for name, joint in JOINTS.items():
        if name != "neck":
            x, y, score = pose.keypoints[0, names.index(name)]
            assert joints[0, joint] == pytest.approx([x / 400, y / 200, score])


@pytest.mark.parametrize(
    ("left", "right", "neck"),
    [
        pytest.param(
            (100, 50, 0.9, OBSERVED), (200, 100, 0.6, OBSERVED), (150, 75, 0.6), id="both"
        ),
        pytest.param(
            (100, 50, 0.4, PREDICTED),
            (200, 100, 0.6, OBSERVED),
            (150, 75, 0.4),
            id="a predicted one",
        ),
        pytest.param((100, 50, 0.3, ABSENT), (200, 100, 0.6, OBSERVED), (0, 0, 0), id="one only"),
        pytest.param((100, 50, 0.3, ABSENT), (200, 100, 0.2, ABSENT), (0, 0, 0), id="none"),
        pytest.param(
            (-40, 50, 0.9, OBSERVED), (40, 50, 0.9, OBSERVED), (0, 50, 0.9), id="across the edge"
        ),
    ],
)
def test_the_neck_lies_between_the_shoulders(left, right, neck):
    joints = joints_of(one_pose(left_shoulder=left, right_shoulder=right))
    x, y, score = neck
    assert joints[0, JOINTS["neck"]] == pytest.approx([x / 400, y / 200, score])


@pytest.mark.parametrize(
    ("nose", "joint"),
    [
        pytest.param((400, 200, 1.0, OBSERVED), (1, 1, 1), id="the far corner"),
        pytest.param((-8, 210, 0.5, OBSERVED), (0, 1, 0.5), id="outside of the image"),
        pytest.param((40, 20, 0.5, PREDICTED), (0.1, 0.1, 0.5), id="predicted"),
        pytest.param((40, 20, 0.5, ABSENT), (0, 0, 0), id="a guess is nothing"),
    ],
)
def test_a_joint_is_a_fraction_of_the_image(nose, joint):
    assert joints_of(one_pose(nose=nose))[0, 0] == pytest.approx(joint)


@pytest.mark.parametrize("count", [0, 17])
def test_nobody_has_no_joints(count):
    assert joints_of(Poses.empty(count)).shape == (0, 18, 3)


@pytest.mark.parametrize("name", ["face5", "hand21"])
def test_a_skeleton_that_is_no_bodys_is_refused_by_its_name_and_what_it_lacks(name):
    skeleton = Skeleton.builtin(name)
    lacks = "right_shoulder" if "nose" in skeleton.keypoint_names else "nose"
    with pytest.raises(ModelError, match=f"'{name}' has no keypoint '{lacks}': expected the 17"):
        body_indices(name, skeleton.keypoint_names)


def test_a_box_is_a_fraction_of_the_image_and_inside_of_it():
    boxes = normalized_boxes(np.array([[-4, 50, 100, 220]], np.float32), SIZE)
    assert boxes[0] == pytest.approx([0, 0.25, 0.25, 1])
