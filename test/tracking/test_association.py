# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scenes import people

from kp_pose_ros.tracking.association import (
    COCO_SIGMAS,
    assign,
    common_shift,
    sigmas_of,
    similarity,
)
from kp_pose_ros.tracking.motion import VARIANCE
from kp_pose_ros.tracking.tracks import Detections, Tracks


def detections(poses) -> Detections:
    return Detections.of(poses, COCO_SIGMAS)


def similar(first, second) -> float:
    tracks = Tracks.begin(detections(first), 0)
    tracks.motion[:, VARIANCE:] = 0  # as if known exactly
    return float(similarity(tracks, detections(second), COCO_SIGMAS)[0, 0])


def test_somebody_is_fully_like_himself():
    assert similar(people((100, 300)), people((100, 300))) == pytest.approx(1)


def test_keypoints_count_as_the_coco_evaluation_defines():
    first, second = people((100, 300)), people((100, 300))
    second.keypoints[0, 0, 0] += 5
    width, height = first.boxes[0, 2:] - first.boxes[0, :2]
    nose = np.exp(-(5**2) / (2 * width * height * (2 * 0.026) ** 2))
    assert similar(first, second) == pytest.approx((4 + 16 + nose) / (4 + 17), abs=1e-4)


@pytest.mark.parametrize(
    ("second", "least", "most"),
    [
        pytest.param(people((105, 300)), 0.7, 1, id="a small step"),
        pytest.param(people((150, 300)), 0, 0.3, id="a neighbour"),
        pytest.param(people((100, 300), height=100), 0, 0.4, id="a child at the same place"),
        pytest.param(people((100, 300), hidden=range(5, 17)), 0.9, 1, id="only the head shows"),
        pytest.param(people((100, 300), hidden=range(17)), 0.9, 1, id="only the box is known"),
        pytest.param(people((500, 300)), 0, 0, id="somewhere else"),
        pytest.param(people((100, 300), class_id=1), 0, 0, id="another class"),
    ],
)
def test_how_similar(second, least, most):
    assert least <= similar(people((100, 300)), second) <= most


def test_every_sigma_of_coco_is_in_its_place():
    sides = (0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089)
    assert COCO_SIGMAS[0] == 0.026
    assert COCO_SIGMAS[1::2].tolist() == COCO_SIGMAS[2::2].tolist() == list(sides)
    assert sigmas_of("coco17", 17) is COCO_SIGMAS
    assert sigmas_of("hand21", 21).shape == (21,)


@pytest.mark.parametrize(
    ("similarities", "pairs"),
    [
        pytest.param([[0.9, 0.8], [0.7, 0.1]], [(0, 1), (1, 0)], id="best for all, not greedy"),
        pytest.param([[0.9, 0.1], [0.1, 0.1]], [(0, 0)], id="the unlike stay apart"),
        pytest.param([[0.3], [0.6]], [(1, 0)], id="more tracks than poses"),
        pytest.param(np.zeros((0, 3)), [], id="nobody is followed"),
        pytest.param(np.zeros((3, 0)), [], id="nobody is seen"),
    ],
)
def test_the_best_pairs(similarities, pairs):
    rows, columns = assign(np.asarray(similarities, np.float64), 0.2)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == pairs


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        pytest.param([(115, 310), (315, 310), (515, 310)], (15, 10), id="all together"),
        pytest.param([(115, 310), (315, 310), (530, 310)], (15, 10), id="one more than the others"),
        pytest.param([(115, 310), (315, 310)], None, id="two are too few"),
        pytest.param([(100, 300), (300, 301), (500, 299)], None, id="nothing but noise"),
    ],
)
def test_what_all_do_is_the_cameras_movement(moved, expected):
    tracks = Tracks.begin(detections(people((100, 300), (300, 300), (500, 300))), 0)
    seen = detections(people(*moved))
    shift = common_shift(tracks, seen, similarity(tracks, seen, COCO_SIGMAS))
    assert shift is None if expected is None else shift == pytest.approx(expected, abs=0.1)
