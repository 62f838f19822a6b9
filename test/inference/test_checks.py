# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.inference.checks import OutputCheck
from kp_pose_ros.models.layouts import Layout


def check(classes=2, kpt_shape=(2, 3)):
    names = tuple(f"class {place}" for place in range(classes))
    metadata = SimpleNamespace(class_names=names, kpt_shape=kpt_shape, layout=Layout.ROWS)
    return OutputCheck(SimpleNamespace(metadata=metadata, path="pose.onnx"))


def good_rows(count=30):
    rows = np.zeros((count, 12), np.float32)
    rows[:, :6] = (10, 20, 30, 60, 0.9, 1)
    rows[:, 6:] = (15, 25, 0.8, 20, 30, 0.7)
    return rows


def test_rows_without_a_fault_come_back_as_they_are():
    rows = good_rows()
    rows[3, 4] = 0.1
    checked = check()
    found = checked(rows, 0.25)
    np.testing.assert_array_equal(found, np.delete(rows, 3, axis=0))
    assert not checked.counts


@pytest.mark.parametrize(
    ("row", "fault", "kept"),
    [
        pytest.param({4: np.nan}, "numbers that are not finite", 29, id="a score that is none"),
        pytest.param({4: np.inf}, "numbers that are not finite", 29, id="an endless score"),
        pytest.param({7: np.nan}, "numbers that are not finite", 29, id="a keypoint nowhere"),
        pytest.param({4: 1.57}, "scores outside of 0 to 1", 30, id="a score above 1"),
        pytest.param({8: 3.0}, "scores outside of 0 to 1", 30, id="a keypoint's score above 1"),
        pytest.param({8: -0.5}, "scores outside of 0 to 1", 30, id="a keypoint's score below 0"),
        pytest.param({2: 5}, "boxes of negative size", 29, id="right of itself"),
        pytest.param({3: 5}, "boxes of negative size", 29, id="below itself"),
        pytest.param({5: 0.5}, "classes that the model lacks", 29, id="half a class"),
        pytest.param({5: 2}, "classes that the model lacks", 29, id="a class too many"),
        pytest.param({4: 300}, "impossible scores", 29, id="a coordinate for a score"),
        pytest.param({5: -1}, "classes that the model lacks", 29, id="a class below 0"),
    ],
)
def test_faults_are_counted_and_warned_of_once(row, fault, kept, caplog):
    rows, checked = good_rows(), check()
    for column, value in row.items():
        rows[7, column] = value
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found = checked(rows.copy(), 0.25)
    assert len(found) == kept
    assert np.isfinite(found).all()
    assert found[:, [4, 8, 11]].min() >= 0
    assert found[:, [4, 8, 11]].max() <= 1
    assert checked.counts == {fault: 3}
    assert caplog.text.count("pose.onnx") == 1


def test_keypoints_without_scores_are_not_taken_for_scores():
    rows = np.zeros((1, 12), np.float32)
    rows[0] = (10, 20, 30, 60, 0.9, 0, 100, 200, 300, 400, 500, 600)
    np.testing.assert_array_equal(check(kpt_shape=(3, 2))(rows, 0.25), rows)


def yolov7(generator, count):
    """Rows as YOLOv7 has them: centre, size, objectness, class score."""
    rows = good_rows(count)
    rows[:, :4] = generator.uniform((200, 200, 20, 20), (600, 600, 200, 200), (count, 4))
    rows[:, 5] = generator.uniform(0.5, 0.99, count)
    return rows


def test_an_output_of_another_layout_is_refused_frame_after_frame():
    checked, generator = check(), np.random.default_rng(0)
    for _ in range(3):
        with pytest.raises(ModelError, match=r"does not match the layout rows, .*--layout"):
            checked(yolov7(generator, 34), 0.25)
    assert checked.counts == {"another layout": 3}


def test_once_the_layout_has_proved_right_a_bad_frame_is_a_bad_frame():
    checked = check()
    checked(good_rows(), 0.25)
    assert len(checked(yolov7(np.random.default_rng(0), 34), 0.25)) == 0


def test_nobody_costs_nothing():
    checked = check()
    assert len(checked(np.zeros((1024, 12), np.float32), 0.25)) == 0
    assert not checked.counts


SCORES, POINTS = (0.9, 0.02, 0.001, 0.03, 0.2), (120.0, 80.0, 240.0, 90.0, 180.0, 200.0)


def selected(classes, scores, points):
    """Rows as the selection makes them of a raw output of so many classes."""
    values = np.array((*scores, *points))
    best = values[:classes].argmax()
    row = (100, 60, 300, 400, values[best], best, *values[classes:])
    return np.array([row] * 4, np.float32)


SCORED = (120.0, 80.0, 0.7, 240.0, 90.0, 0.7, 180.0, 200.0, 0.7)
FITS = {
    "x y score": (1, (3, 3), SCORES[:1], SCORED),
    "x y": (1, (3, 2), SCORES[:1], POINTS),
    "x y, most of them missing": (1, (3, 2), SCORES[:1], (0.1, 0.0, 0.0, 0.2, 180.0, 200.0)),
    "several classes": (5, (3, 3), SCORES, SCORED),
}
MISFITS = {
    "x y taken for x y score": (1, (2, 3), SCORES[:1], POINTS),
    "x y score taken for x y": (1, (6, 2), SCORES[:1], (*SCORED, *SCORED[:3])),
    "a keypoint taken for three classes": (4, (2, 3), SCORES[:1], SCORED),
    "three classes taken for a keypoint": (1, (4, 3), SCORES[:4], SCORED),
    "four classes taken for two keypoints": (1, (8, 2), SCORES, (*SCORED, *SCORED[:3])),
}


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in FITS])
def test_keypoints_as_the_metadata_say_are_taken(name):
    classes, kpt_shape, scores, points = FITS[name]
    rows = selected(classes, scores, points)
    np.testing.assert_array_equal(check(classes, kpt_shape)(rows, 0.25), rows)


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in MISFITS])
def test_a_kpt_shape_that_fits_the_width_by_accident_is_refused(name):
    classes, kpt_shape, scores, points = MISFITS[name]
    rows = selected(classes, scores, points)
    assert rows.shape[1] == 6 + kpt_shape[0] * kpt_shape[1]
    with pytest.raises(ModelError, match=rf"kpt_shape \[{kpt_shape[0]}, {kpt_shape[1]}\]: "):
        check(classes, kpt_shape)(rows, 0.25)
