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
from kp_pose_ros.tracking.motion import CENTER, KEYPOINTS, VARIANCE, spans_of
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
    assert sigmas_of("hand21", 21).tolist() == [0.07] * 21


@pytest.mark.parametrize(
    ("similarities", "pairs"),
    [
        pytest.param([[0.9, 0.8], [0.7, 0.1]], [(0, 1), (1, 0)], id="best for all, not greedy"),
        pytest.param([[0.9, 0.1], [0.1, 0.1]], [(0, 0)], id="the unlike stay apart"),
        pytest.param([[0.2]], [(0, 0)], id="as dissimilar as allowed"),
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


@pytest.mark.parametrize(
    ("lowest", "found"),
    [
        pytest.param(0.021, True, id="likely the same"),
        pytest.param(0.019, False, id="too dissimilar"),
    ],
)
def test_only_likely_pairs_tell_of_the_camera(lowest, found):
    tracks = Tracks.begin(detections(people((100, 300), (300, 300), (500, 300))), 0)
    seen = detections(people((115, 310), (315, 310), (515, 310)))
    shift = common_shift(tracks, seen, np.diag([0.9, 0.9, lowest]))
    assert (shift is not None) == found


@pytest.mark.parametrize("axis", [0, 1], ids=["across", "down"])
@pytest.mark.parametrize("sign", [-1, 1], ids=["back", "forth"])
@pytest.mark.parametrize(
    ("share", "found"),
    [
        pytest.param(0.011, True, id="more than noise"),
        pytest.param(0.009, False, id="as much as noise"),
    ],
)
def test_the_camera_moves_by_more_than_a_hundredth_of_a_person(share, found, sign, axis):
    tracks = Tracks.begin(detections(people((100, 300), (300, 300), (500, 300))), 0)
    seen = detections(people((100, 300), (300, 300), (500, 300)))
    seen.points[:, axis, KEYPOINTS] += sign * share * spans_of(tracks.motion).min()
    shift = common_shift(tracks, seen, np.eye(3))
    assert (shift is not None) == found


@pytest.mark.parametrize("axis", [0, 1], ids=["across", "down"])
@pytest.mark.parametrize("sign", [-1, 1], ids=["back", "forth"])
@pytest.mark.parametrize(
    ("deviation", "away", "compared"),
    [
        pytest.param(0, 1.2, True, id="boxes that nearly touch"),
        pytest.param(0, 1.3, False, id="boxes apart"),
        pytest.param(1, 4.2, True, id="three standard deviations and a box away"),
        pytest.param(1, 4.3, False, id="farther than that"),
    ],
)
def test_only_neighbours_are_compared(deviation, away, compared, sign, axis):
    first, second = people((500, 300)), people((500, 300))
    size = first.boxes[0, 2 + axis] - first.boxes[0, axis]
    second.boxes[:, axis::2] += sign * away * size
    second.keypoints[..., axis] += sign * away * size
    tracks = Tracks.begin(detections(first), 0)
    tracks.motion[:, VARIANCE, CENTER] = (deviation * size) ** 2
    tracks.motion[:, VARIANCE, KEYPOINTS] = 1e8  # so that they count as similar wherever they are
    found = similarity(tracks, detections(second), COCO_SIGMAS)[0, 0]
    assert (found > 0.5) == compared


def test_a_keypoint_that_only_one_side_shows_takes_no_part():
    first, second = people((100, 300)), people((100, 300), hidden=range(1, 17))
    second.keypoints[0, 1:] += 50
    assert similar(first, second) == pytest.approx(1)
    assert similar(second, first) == pytest.approx(1)


def test_what_was_not_known_exactly_counts_as_more_similar():
    first, second = people((100, 300)), people((100, 300))
    second.keypoints[0, 0, 0] += 5
    width, height = first.boxes[0, 2:] - first.boxes[0, :2]
    tracks = Tracks.begin(detections(first), 0)
    tracks.motion[:, VARIANCE:] = 0
    tracks.motion[:, VARIANCE, KEYPOINTS] = 9.0  # square pixels
    nose = np.exp(-(5**2) / (2 * (width * height * (2 * 0.026) ** 2 + 9)))
    found = similarity(tracks, detections(second), COCO_SIGMAS)[0, 0]
    assert found == pytest.approx((4 + 16 + nose) / (4 + 17), abs=1e-4)


def test_boxes_overlap_by_intersection_over_union():
    first, second = people((100, 300), hidden=range(17)), people((100, 300), hidden=range(17))
    width, height = first.boxes[0, 2:] - first.boxes[0, :2]
    second.boxes[0] += (width / 2, height / 4, width / 2, height / 4)
    assert similar(first, second) == pytest.approx((1 / 2 * 3 / 4) / (2 - 1 / 2 * 3 / 4), abs=1e-4)
