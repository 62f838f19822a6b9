# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from rendered import JOINTS, NAMES

from kp_pose_ros.space.bones import Bones

STANDING = JOINTS + np.array((0.0, 0, 3))  # metres in front of the camera
WRIST, ELBOW, SHOULDER = (NAMES.index(f"left_{name}") for name in ("wrist", "elbow", "shoulder"))


def implausible(points: np.ndarray) -> list[str]:
    known = np.isfinite(points).all(axis=-1)
    return [NAMES[i] for i in np.flatnonzero(known & ~Bones(NAMES).plausible(points[None])[0])]


@pytest.mark.parametrize("height", [1.0, 1.5, 1.7, 2.0])
def test_people_of_any_height_are_plausible(height):
    assert implausible(STANDING * height / 1.7) == []


@pytest.mark.parametrize(
    ("moved", "gone"),
    [
        pytest.param({WRIST: 2.0}, ["left_wrist"], id="a wrist on the wall"),
        pytest.param({ELBOW: 2.0}, ["left_elbow"], id="an elbow on the wall"),
        pytest.param({WRIST: 2.0, ELBOW: 2.0}, ["left_elbow", "left_wrist"], id="a whole forearm"),
        pytest.param({SHOULDER: 2.0}, ["left_shoulder"], id="a shoulder on the wall"),
        pytest.param({0: -0.8}, ["nose"], id="something in front of the nose"),
        pytest.param({WRIST: 0.1}, [], id="noise"),
    ],
)
def test_what_contradicts_its_neighbours_goes(moved, gone):
    points = STANDING.copy()
    for joint, distance in moved.items():
        # Along the viewing ray, as a wrong depth moves it.
        points[joint] *= 1 + distance / points[joint, 2]
    assert implausible(points) == gone


def test_a_joint_that_nobody_vouches_for_goes():
    points = np.full((17, 3), np.nan)
    points[WRIST] = (0, 0, 3)
    assert implausible(points) == ["left_wrist"]


def test_each_person_is_judged_alone():
    points = np.stack((STANDING, STANDING + np.array((1, 0, 1))))
    points[1, WRIST, 2] += 2
    plausible = Bones(NAMES).plausible(points)
    assert plausible[0].all()
    assert np.flatnonzero(~plausible[1]).tolist() == [WRIST]


def test_a_skeleton_without_known_bones_is_believed():
    points = np.array([[(0, 0, 3.0), (0, 0, 9.0), (np.nan, 0, 3.0)]])
    assert Bones(["a", "b", "c"]).plausible(points).tolist() == [[True, True, False]]


def test_a_face_alone_is_judged_by_a_usual_size():
    names = ["nose", "left_eye", "right_eye"]
    face = np.array([[(0, 0, 2.0), (0.03, -0.03, 2.0), (-0.03, -0.03, 2.6)]])
    assert Bones(names).plausible(face).tolist() == [[True, True, False]]


def test_nobody_is_judged():
    assert Bones(NAMES).plausible(np.zeros((0, 17, 3))).shape == (0, 17)
