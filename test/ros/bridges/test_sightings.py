# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from kp_pose_ros.msg import Keypoint3D, KeypointPose

from kp_pose_ros.ros.bridges.sightings import _in_camera

NAMES = ("nose", "left_hip", "left_wrist")


def person(frame="", keypoints=(None, None, None)):
    """A person at (1, 2, 3), walking to the right, with keypoints at these depths."""
    pose = KeypointPose()
    motion = pose.motion
    motion.frame_id, motion.position_valid, motion.velocity_valid = frame, bool(frame), bool(frame)
    motion.position.x, motion.position.y, motion.position.z = 1.0, 2.0, 3.0
    motion.velocity.x = 0.5
    for depth in keypoints:
        pose.keypoints_3d.append(Keypoint3D(valid=depth is not None))
        pose.keypoints_3d[-1].position.z = depth or 0.0
    return pose


UNKNOWN = (np.nan,) * 3


@pytest.mark.parametrize(
    ("someone", "position", "velocity"),
    [
        pytest.param(person("camera"), (1, 2, 3), (0.5, 0, 0), id="the camera's frame"),
        pytest.param(person("odom", (9, 4, 8)), (0, 0, 4), UNKNOWN, id="another frame"),
        pytest.param(person("odom", (9, None, 7)), (0, 0, 8), UNKNOWN, id="without a torso"),
        pytest.param(person("odom"), UNKNOWN, UNKNOWN, id="without keypoints in space"),
        pytest.param(person(), UNKNOWN, UNKNOWN, id="without depth"),
    ],
)
def test_a_person_is_placed_in_the_cameras_frame(someone, position, velocity):
    positions, velocities = _in_camera([someone], "camera", NAMES)
    np.testing.assert_array_equal(positions, [position])
    np.testing.assert_array_equal(velocities, [velocity])


def test_nobody_is_nowhere():
    positions, velocities = _in_camera([], "camera", NAMES)
    assert positions.shape == velocities.shape == (0, 3)
