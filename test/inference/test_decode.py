# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.poses import ABSENT, OBSERVED

SAME = Letterbox.fit((640, 640), (640, 640))


def row(x=100.0, score=0.9, class_id=0, keypoints=(50, 60, 0.8), size=100.0) -> list[float]:
    return [x, 100, x + size, 100 + size, score, class_id, *keypoints]


def poses_of(*rows, kpt_shape=(1, 3), letterbox=SAME, suppress=True, **settings):
    candidates = Candidates(np.array(rows, np.float32).reshape(len(rows), -1), letterbox)
    return decode(candidates, kpt_shape, DecodeSettings(**settings), suppress=suppress)


@pytest.mark.parametrize(
    ("rows", "settings", "scores"),
    [
        pytest.param([row(score=0.3), row(300, 0.2)], {}, [0.3], id="a low score is dropped"),
        pytest.param([row(score=0.25)], {}, [], id="the threshold itself is too low"),
        pytest.param([row(score=0.0)], {"score_threshold": 0.0}, [], id="padding is nobody"),
        pytest.param([row(100, 0.5), row(300, 0.9)], {}, [0.9, 0.5], id="the best comes first"),
        pytest.param([row(100, 0.8), row(110, 0.9)], {}, [0.9], id="IoU 0.82 is one person"),
        pytest.param([row(100, 0.8), row(130, 0.9)], {}, [0.9, 0.8], id="IoU 0.54 is two"),
        pytest.param(
            [row(100, 0.8), row(130, 0.9)], {"iou_threshold": 0.5}, [0.9], id="a lower limit"
        ),
        pytest.param(
            [row(100, 0.8, 1), row(100, 0.9, 0)], {}, [0.9, 0.8], id="classes do not compete"
        ),
        pytest.param(
            [row(100, 0.8), row(100, 0.9)],
            {"suppress": False},
            [0.9, 0.8],
            id="a model that suppresses by itself is believed",
        ),
        pytest.param(
            [row(100, 0.9), row(112, 0.8), row(124, 0.7)],
            {},
            [0.9, 0.7],
            id="what was dropped drops nobody",
        ),
        pytest.param(
            [row(x, score) for x, score in ((0, 0.5), (200, 0.7), (400, 0.6))],
            {"max_poses": 2},
            [0.7, 0.6],
            id="the best stay when there are too many",
        ),
    ],
)
def test_who_is_kept(rows, settings, scores):
    assert poses_of(*rows, **settings).scores.tolist() == pytest.approx(scores)


@pytest.mark.parametrize("x", [-100.0, -50.0, 0.0, 540.0])
@pytest.mark.parametrize("y", [-100.0, 0.0])
def test_classes_do_not_compete_wherever_their_boxes_lie(x, y):
    boxes = [[x, y, x + 100, y + 100, 0.9 - each / 10, each, 50, 60, 0.8] for each in range(4)]
    assert len(poses_of(*boxes, iou_threshold=0.0)) == 4


def test_no_candidates_are_nobody():
    poses = decode(Candidates(np.zeros((0, 6 + 51), np.float32), SAME), (17, 3), DecodeSettings())
    assert poses.keypoints.shape == (0, 17, 3)


def test_boxes_and_keypoints_are_in_source_pixels():
    letterbox = Letterbox.fit((720, 1280), (384, 640))
    poses = poses_of([10, 22, 20, 32, 0.9, 3, 15, 27, 0.7], letterbox=letterbox)
    assert poses.boxes.tolist() == [[20, 20, 40, 40]]
    np.testing.assert_allclose(poses.keypoints, [[[30, 30, 0.7]]])
    assert poses.class_ids.tolist() == [3]


@pytest.mark.parametrize("kpt_shape", [(17, 3), (5, 3), (4, 2), (21, 2), (1, 3)])
def test_any_keypoint_shape_keeps_its_order(kpt_shape):
    count, numbers = kpt_shape
    points = np.random.default_rng(0).uniform(0.1, 0.9, kpt_shape)
    poses = poses_of(row(keypoints=points.ravel()), kpt_shape=kpt_shape)
    assert poses.keypoints.shape == (1, count, 3)
    np.testing.assert_allclose(poses.keypoints[0, :, :numbers], points, rtol=1e-5)


def test_without_scores_a_keypoint_is_certain_unless_it_is_the_origin():
    poses = poses_of(row(keypoints=(50, 60, 0, 0, -3, -2)), kpt_shape=(3, 2))
    assert poses.keypoints[0, :, 2].tolist() == [1, 0, 0]


def test_a_keypoint_below_the_threshold_is_absent():
    points = (50, 60, 0.7, 50, 60, 0.5, 50, 60, 0.4)
    poses = poses_of(row(keypoints=points), kpt_shape=(3, 3), keypoint_threshold=0.5)
    assert poses.states.tolist() == [[OBSERVED, OBSERVED, ABSENT]]


def test_suppression_agrees_with_its_definition_on_a_crowd():
    random = np.random.default_rng(2)
    corners = random.uniform(0, 400, (300, 2))
    rows = np.hstack(
        (corners, corners + random.uniform(40, 200, (300, 2)), random.uniform(0.3, 1, (300, 1)))
    )
    rows = np.hstack((rows, random.integers(0, 3, (300, 1)), np.ones((300, 3))))
    kept: list[np.ndarray] = []
    for candidate in rows[np.argsort(-rows[:, 4])]:
        if all(k[5] != candidate[5] or iou(k, candidate) <= 0.5 for k in kept):
            kept.append(candidate)
    poses = poses_of(*rows, iou_threshold=0.5)
    np.testing.assert_allclose(poses.boxes, np.array(kept)[:, :4], atol=1e-3)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inter / (sum(areas) - inter)
