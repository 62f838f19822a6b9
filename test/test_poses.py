# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest

from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses


def three_poses() -> Poses:
    return Poses(
        boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
        scores=np.array((0.9, 0.8, 0.7), np.float32),
        keypoints=np.zeros((3, 17, 3), np.float32),
        track_ids=np.array((5, 6, 7), np.int32),
        track_ages=np.array((0.5, 0.6, 0.7)),
        states=np.array((OBSERVED, ABSENT, PREDICTED), np.uint8)[:, None].repeat(17, axis=1),
    )


def test_nobody_keeps_the_keypoint_count():
    nobody = Poses.empty(21)
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 21, 3)


def test_ids_that_are_left_out_mean_first_class_and_no_track():
    poses = Poses(np.zeros((2, 4)), np.zeros(2), np.zeros((2, 5, 3)))
    assert poses.class_ids.tolist() == [0, 0]
    assert poses.track_ids.tolist() == [-1, -1]
    assert poses.track_ages.tolist() == [0, 0]


def test_states_that_are_left_out_follow_from_the_keypoints_scores():
    keypoints = np.array([[[1, 2, 0.9], [0, 0, 0]]], np.float32)
    poses = Poses(np.zeros((1, 4)), np.zeros(1), keypoints)
    assert poses.states.tolist() == [[OBSERVED, ABSENT]]


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(np.array((True, False, True)), id="a mask"),
        pytest.param(np.array((0, 2)), id="indices"),
        pytest.param(slice(0, 3, 2), id="a slice"),
    ],
)
def test_choosing_poses_chooses_from_every_array(index):
    chosen = three_poses()[index]
    assert chosen.track_ids.tolist() == [5, 7]
    assert chosen.boxes[:, 0].tolist() == [0, 8]
    assert chosen.scores.tolist() == pytest.approx([0.9, 0.7])
    assert chosen.keypoints.shape == (2, 17, 3)
    assert chosen.track_ages.tolist() == [0.5, 0.7]
    assert chosen.states[:, 16].tolist() == [OBSERVED, PREDICTED]


def test_scaled_poses_are_those_of_a_larger_picture():
    keypoints = np.random.default_rng(0).uniform(1, 100, (3, 17, 3)).astype(np.float32)
    poses = replace(three_poses(), keypoints=keypoints)
    scaled = poses.scaled(2.5)
    np.testing.assert_allclose(scaled.boxes, poses.boxes * 2.5)
    np.testing.assert_allclose(scaled.keypoints, keypoints * (2.5, 2.5, 1), rtol=1e-6)
    assert scaled.boxes.dtype == scaled.keypoints.dtype == np.float32
    assert scaled.states is poses.states


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        pytest.param({"boxes": np.zeros((2, 5))}, "boxes has shape", id="five numbers a box"),
        pytest.param({"scores": np.zeros(3)}, "scores has shape", id="a score too many"),
        pytest.param({"keypoints": np.zeros((2, 5))}, "keypoints has", id="flat keypoints"),
        pytest.param({"keypoints": np.zeros((2, 5, 2))}, "keypoints has", id="no keypoint score"),
        pytest.param({"class_ids": np.zeros(1)}, "class_ids has", id="a class too few"),
        pytest.param({"track_ids": np.zeros((2, 1))}, "track_ids has", id="a column of tracks"),
        pytest.param({"track_ages": np.zeros(1)}, "track_ages has", id="an age too few"),
        pytest.param({"states": np.zeros((2, 4))}, "states has", id="a state too few"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, phrase):
    arrays = {"boxes": np.zeros((2, 4)), "scores": np.zeros(2), "keypoints": np.zeros((2, 5, 3))}
    with pytest.raises(ValueError, match=phrase):
        Poses(**(arrays | changes))
