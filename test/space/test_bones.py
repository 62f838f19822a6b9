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


# Metres that nobody of up to 2.1 m exceeds from one keypoint to the other: the proportions of
# Drillis and Contini (Winter, figure 4.1) at that height, 15 % and 3 cm more.
LONGEST = {
    ("left_shoulder", "left_elbow"): 0.479,
    ("left_elbow", "left_wrist"): 0.383,
    ("left_hip", "left_knee"): 0.622,
    ("left_knee", "left_ankle"): 0.624,
    ("left_shoulder", "left_hip"): 0.726,
}
# The same if no bone shows a height: for a person of 1.7 m.
USUALLY_LONGEST = {
    ("left_shoulder", "left_wrist"): 0.679,
    ("left_hip", "left_ankle"): 0.990,
    ("left_shoulder", "right_hip"): 0.734,
    ("left_shoulder", "right_shoulder"): 0.480,
    ("left_hip", "right_hip"): 0.401,
    ("left_ear", "left_shoulder"): 0.382,
    ("nose", "left_shoulder"): 0.441,
    ("nose", "left_eye"): 0.108,
    ("nose", "left_ear"): 0.206,
    ("left_eye", "left_ear"): 0.167,
}


def mirrored(names):
    swap = {"left": "right", "right": "left"}
    sides = [name.partition("_") for name in names]
    return tuple(f"{swap.get(side, side)}{rest}{part}" for side, rest, part in sides)


@pytest.mark.parametrize("mirror", [tuple, mirrored], ids=["left", "right"])
@pytest.mark.parametrize(
    ("pair", "longest"),
    [
        pytest.param(pair, longest, id=" to ".join(pair))
        for pair, longest in {**LONGEST, **USUALLY_LONGEST}.items()
    ],
)
def test_two_keypoints_are_believed_up_to_the_longest_distance_of_people(pair, longest, mirror):
    bones = Bones(mirror(pair))
    for length, believed in ((longest - 0.002, True), (longest + 0.002, False)):
        plausible = bones.plausible(np.array([[(0, 0, 3.0), (0, length, 3.0)]]))[0]
        assert plausible.any() == believed


@pytest.mark.parametrize(
    ("thighs", "longest"),
    [
        pytest.param((0.245, 0.245), 0.1335, id="somebody of 1 m"),
        pytest.param((0.05, 0.05), 0.092, id="nobody is smaller than 0.6 m"),
        pytest.param((0.245, 0.294), 0.154, id="of two thighs the longer one tells"),
        pytest.param((np.nan, 0.245), 0.1335, id="the one leg that shows tells"),
        pytest.param((np.nan, np.nan), 0.206, id="a usual height where no leg shows"),
    ],
)
def test_thighs_tell_how_far_an_ear_may_be_from_the_nose(thighs, longest):
    names = ["left_hip", "left_knee", "right_hip", "right_knee", "nose", "left_ear"]
    left, right = thighs
    for length, believed in ((longest - 0.002, True), (longest + 0.002, False)):
        head = [(0, -0.5, 3), (length, -0.5, 3)]
        legs = [(0, 0, 3), (0, left, 3), (0.1, 0, 3), (0.1, right, 3)]
        plausible = Bones(names).plausible(np.array([[*legs, *head]]))[0]
        assert plausible[4:].any() == believed
