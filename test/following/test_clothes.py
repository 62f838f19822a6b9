# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from sighted import NAMES, SIZE, Someone, poses_of

from kp_pose_ros.following.clothes import ClothesHistograms, Views
from kp_pose_ros.poses import Poses

RED, GREEN, GRAY = (40, 40, 200), (60, 180, 60), (120, 120, 120)


def picture_of(poses, tops, legs):
    """Return a picture in which people's torsos and legs have these colours."""
    picture = np.full((*SIZE, 3), (90, 100, 110), np.uint8)
    for points, top, leg in zip(poses.keypoints[..., :2].astype(int), tops, legs, strict=True):
        for side in (11, 12):
            cv2.line(picture, points[side].tolist(), points[side + 2].tolist(), leg, 15)
        cv2.fillConvexPoly(picture, points[[5, 6, 12, 11]], top)
    return picture


def describe(poses, picture, ranks=None, names=NAMES):
    ranks = np.zeros(len(poses)) if ranks is None else np.array(ranks)
    return ClothesHistograms(names).compute(picture, poses, SIZE, ranks)


def distance(first, second):
    views = Views()
    views.learn(first)
    return float(views.distances(second[None])[0])


ONE = poses_of(Someone(1))


@pytest.mark.parametrize(
    ("top", "leg", "least", "most"),
    [
        pytest.param(RED, GRAY, 0.0, 0.05, id="the same"),
        pytest.param(tuple(round(0.8 * c) for c in RED), (100, 100, 100), 0.0, 0.3, id="in shade"),
        pytest.param(RED, GREEN, 0.4, 0.6, id="other legs"),
        pytest.param(GREEN, GRAY, 0.4, 0.6, id="another top"),
        pytest.param(GREEN, RED, 0.9, 1.0, id="all different"),
    ],
)
def test_clothes_differ_by_their_colours(top, leg, least, most):
    red = describe(ONE, picture_of(ONE, [RED], [GRAY]))[0]
    other = describe(ONE, picture_of(ONE, [top], [leg]))[0]
    assert least <= distance(red, other) <= most


def test_a_reduced_picture_says_the_same():
    picture = picture_of(ONE, [RED], [GREEN])
    reduced = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert distance(describe(ONE, picture)[0], describe(ONE, reduced)[0]) < 0.15


@pytest.mark.parametrize(
    ("hidden", "known"),
    [
        pytest.param([5], [False, True], id="a shoulder"),
        pytest.param([13], [True, True], id="one knee"),
        pytest.param([13, 14], [True, False], id="both knees"),
        pytest.param([11, 12], [False, False], id="hips"),
    ],
)
def test_a_part_whose_keypoints_were_not_seen_is_unknown(hidden, known):
    states = ONE.states.copy()
    states[:, hidden] = 0
    poses = Poses(ONE.boxes, ONE.scores, ONE.keypoints, states=states)
    (found,) = describe(poses, picture_of(ONE, [RED], [GRAY]))
    assert np.isfinite(found).all(axis=1).tolist() == known


def test_what_a_nearer_person_covers_is_not_counted():
    poses = poses_of(Someone(1, z=3.0), Someone(2, z=4.0, x=0.1))
    picture = picture_of(poses, [RED, GREEN], [GRAY, GRAY])
    front, back = describe(poses, picture, ranks=[3.0, 4.0])
    assert np.isfinite(front).all()
    assert np.isnan(back).all()


def test_people_outside_the_picture_are_unknown():
    poses = poses_of(Someone(1, x=5.0))
    assert np.isnan(describe(poses, np.zeros((*SIZE, 3), np.uint8))).all()


def test_a_skeleton_without_hips_has_no_clothes():
    assert np.isnan(describe(ONE, picture_of(ONE, [RED], [GRAY]), names=NAMES[:11])).all()


def test_nobody_has_no_clothes():
    assert describe(Poses.empty(17), np.zeros((*SIZE, 3), np.uint8)).shape[0] == 0


def test_both_sides_of_a_person_are_remembered():
    front, back, other = (
        describe(ONE, picture_of(ONE, [top], [GRAY]))[0] for top in (RED, (40, 120, 200), GREEN)
    )
    views = Views()
    for each in (front, back, front):
        views.learn(each)
    assert views.distances(np.array((front, back))) == pytest.approx((0, 0), abs=0.05)
    assert views.distances(other[None])[0] > 0.4


def test_a_look_without_legs_is_completed_by_the_next():
    whole = describe(ONE, picture_of(ONE, [RED], [GRAY]))[0]
    part = whole.copy()
    part[1] = np.nan
    views = Views()
    views.learn(part)
    views.learn(whole)
    legs = np.stack((np.full_like(whole[0], np.nan), whole[1]))
    assert views.distances(legs[None])[0] == pytest.approx(0, abs=1e-6)


def test_nothing_is_known_before_the_first_look():
    views = Views()
    views.learn(np.full((2, 12), np.nan))
    assert np.isnan(views.distances(np.ones((3, 2, 12)) / 12)).all()
