# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints in space on rendered people of known truth."""

from functools import cache

import numpy as np
import pytest
from rendered import CAMERA, NAMES, View, render

from kp_pose_ros.poses import ABSENT, Poses
from kp_pose_ros.space.depth import DepthImage
from kp_pose_ros.space.lift import Lifter

PEOPLE = 8
DISTANCES = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0]


@cache
def views(distance: float) -> list[View]:
    return [render(distance, seed) for seed in range(PEOPLE)]


def lift(view: View) -> np.ndarray:
    return Lifter(NAMES).lift(view.poses, depth_of(view), CAMERA)[0]


def depth_of(view: View) -> DepthImage:
    return DepthImage(view.depth.astype(np.float32), "32FC1")


@pytest.mark.parametrize("distance", DISTANCES)
def test_places_are_right_within_two_percent_and_never_wild(distance):
    points = np.array([lift(view) for view in views(distance)])
    truth = np.array([view.truth for view in views(distance)])
    observed = np.array([view.poses.states[0] != ABSENT for view in views(distance)])
    errors = np.linalg.norm(points - truth, axis=-1)
    valid = np.isfinite(errors)
    print(
        f"\n{distance} m: median {np.median(errors[valid]):.3f} m, worst "
        f"{errors[valid].max():.2f} m, {valid.sum() / observed.sum():.0%} of the keypoints seen"
    )
    assert np.median(errors[valid]) <= 0.02 * distance
    assert errors[valid].max() <= 0.3
    assert valid.sum() >= 0.85 * observed.sum()


def test_places_appear_where_the_keypoints_are():
    [view, *_] = views(2.0)
    points = lift(view)
    valid = np.isfinite(points).all(axis=-1)
    pixels = CAMERA.project(points[valid])
    np.testing.assert_allclose(pixels, view.poses.keypoints[0, valid, :2], atol=0.01)


HIPS = [NAMES.index(f"{side}_hip") for side in ("left", "right")]
SHOULDERS = [NAMES.index(f"{side}_shoulder") for side in ("left", "right")]


@pytest.mark.parametrize(
    ("before", "is_known"),
    [
        pytest.param(0.1, True, id="nothing is in front of them"),
        pytest.param(0.45, False, id="a table"),
        pytest.param(0.8, False, id="a table far in front"),
    ],
)
def test_hips_that_a_table_hides_are_not_on_the_table(before, is_known):
    [view, *_] = views(2.0)
    edge = round(float(view.poses.keypoints[0, HIPS, 1].min())) - 20
    depth = view.depth.astype(np.float32)
    depth[edge:] = np.where(depth[edge:] > 2 - before, 2 - before, depth[edge:])
    points = Lifter(NAMES).lift(view.poses, DepthImage(depth, "32FC1"), CAMERA)[0]
    assert np.isfinite(points[HIPS]).all() == is_known
    assert np.isnan(points[HIPS]).all() != is_known
    assert np.isfinite(points[SHOULDERS]).all()


def test_hips_of_somebody_who_lies_are_nearer_than_the_shoulders():
    keypoints = np.zeros((1, 17, 3), np.float32)
    for rows, y in ((HIPS, 300), (SHOULDERS, 260)):
        keypoints[0, rows] = [(340, y, 0.9), (300, y, 0.9)]
    poses = Poses(np.array([[250, 200, 390, 400]], np.float32), np.ones(1, np.float32), keypoints)
    depth = np.full((480, 640), 3.0, np.float32)
    depth[280:] = 2.58
    points = Lifter(NAMES).lift(poses, DepthImage(depth, "32FC1"), CAMERA)[0]
    assert points[HIPS, 2] == pytest.approx([2.58] * 2)
    assert points[SHOULDERS, 2] == pytest.approx([3.0] * 2)


def test_absent_keypoints_have_no_place():
    [view, *_] = views(2.0)
    poses = Poses(view.poses.boxes, view.poses.scores, view.poses.keypoints)
    poses.states[:] = ABSENT
    assert np.isnan(Lifter(NAMES).lift(poses, depth_of(view), CAMERA)).all()


def test_nobody_has_no_place():
    [view, *_] = views(2.0)
    assert Lifter(NAMES).lift(Poses.empty(17), depth_of(view), CAMERA).shape == (0, 17, 3)
