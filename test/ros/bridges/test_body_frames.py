# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from geometry_msgs.msg import Point
from kp_pose_ros.msg import Keypoint3D, KeypointPose, PoseArray
from scipy.spatial.transform import Rotation

pytest.importorskip("tf2_msgs", reason="tf2_msgs is not installed in this distribution")

from kp_pose_ros.ros.bridges.body_frames import BodyFrames, body_poses
from kp_pose_ros.skeleton import Skeleton

NAMES = Skeleton.builtin("coco17").keypoint_names
TORSO = [
    NAMES.index(f"{side}_{part}") for part in ("hip", "shoulder") for side in ("left", "right")
]
# In the body's own frame: x forward, y left, z up.
HIPS_AND_SHOULDERS = np.array([(0, 0.1, 0), (0, -0.1, 0), (0, 0.18, 0.5), (0, -0.18, 0.5)])
# From that to a camera's optical frame (x right, y down, z forward), facing the camera.
FACING = Rotation.from_matrix([[0, 1, 0], [0, 0, -1], [-1, 0, 0]])
PLACE = np.array((0.4, 0.2, 3.0))


def torso(turned=0.0, leaning=0.0):
    turn = FACING * Rotation.from_euler("zy", (turned, leaning), degrees=True)
    return turn, turn.apply(HIPS_AND_SHOULDERS) + PLACE


@pytest.mark.parametrize(
    ("turned", "leaning"),
    [
        pytest.param(0, 0, id="facing the camera"),
        pytest.param(180, 0, id="showing the back"),
        pytest.param(60, 0, id="turned to the left"),
        pytest.param(0, 40, id="bending forward"),
        pytest.param(-120, 90, id="lying"),
    ],
)
def test_x_points_forward_and_z_to_the_head(turned, leaning):
    turn, points = torso(turned, leaning)
    (position,), (quaternion,) = body_poses(points[None])
    np.testing.assert_allclose(position, PLACE, atol=1e-9)
    difference = Rotation.from_quat(quaternion).inv() * turn
    assert difference.magnitude() == pytest.approx(0, abs=1e-6)


def test_from_the_side_nobody_can_say_where_a_body_faces():
    _, points = torso()
    points[::2] = points[1::2] + 0.02  # the depth of what is near
    _, (quaternion,) = body_poses(points[None])
    assert np.isnan(quaternion).all()


def person(track_id, points, hidden=()):
    pose = KeypointPose(track_id=track_id, keypoints_3d=[Keypoint3D() for _ in NAMES])
    for index, (x, y, z) in zip(TORSO, points.tolist(), strict=True):
        pose.keypoints_3d[index] = Keypoint3D(
            position=Point(x=x, y=y, z=z), valid=index not in hidden
        )
    return pose


class Recorder:
    """Replaces a node, and keeps what is published."""

    def __init__(self):
        self.messages = []
        self.warnings = []

    def get_logger(self):
        return self

    def warning(self, text, **_):
        self.warnings.append(text)

    def create_publisher(self, _, topic, __):
        assert topic == "/tf"
        return self

    def publish(self, message):
        self.messages.append(message)


def test_tracked_people_whose_torso_is_known_have_a_frame():
    recorder = Recorder()
    _, points = torso()
    side = points.copy()
    side[::2] = side[1::2]
    message = PoseArray()
    message.header.frame_id, message.header.stamp.sec = "camera", 7
    message.poses = [
        person(3, points),
        person(-1, points),
        person(4, points, hidden=TORSO[:1]),
        person(5, side),
        KeypointPose(track_id=6),
        person(7, points * np.inf),
        KeypointPose(track_id=8, keypoints_3d=person(8, points).keypoints_3d[:3]),
    ]
    BodyFrames(recorder).broadcast(message, NAMES)
    (sent,) = recorder.messages
    (transform,) = sent.transforms
    assert transform.child_frame_id == "body_kp3"
    assert (transform.header.frame_id, transform.header.stamp.sec) == ("camera", 7)
    assert transform.transform.translation.z == pytest.approx(PLACE[2])


def test_without_a_frame_id_nothing_is_sent_but_a_warning():
    recorder = Recorder()
    BodyFrames(recorder).broadcast(PoseArray(poses=[person(3, torso()[1])]), NAMES)
    assert recorder.messages == []
    assert "the images have no frame_id" in recorder.warnings[0]


@pytest.mark.parametrize(
    ("message", "names"),
    [
        pytest.param(PoseArray(), NAMES, id="nobody"),
        pytest.param(PoseArray(poses=[KeypointPose(track_id=1)]), NAMES, id="no depth"),
        pytest.param(PoseArray(poses=[KeypointPose()]), ("left_paw",), id="not a body"),
    ],
)
def test_nothing_is_sent_without_a_body_in_space(message, names):
    recorder = Recorder()
    BodyFrames(recorder).broadcast(message, names)
    assert recorder.messages == []
