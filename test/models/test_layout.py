# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layout import Layout, find_layout


@pytest.mark.parametrize(
    ("output", "classes", "kpt_shape", "suppresses", "expected"),
    [
        pytest.param((1, 56, 8400), 1, (17, 3), False, Layout.RAW, id="raw"),
        pytest.param((1, 300, 57), 1, (17, 3), True, Layout.ROWS, id="rows"),
        pytest.param((1, 300, 57), 1, (17, 3), False, Layout.ROWS, id="shape speaks, not metadata"),
        pytest.param((1, 56, 8400), 1, (17, 3), True, Layout.RAW, id="metadata contradicts shape"),
        pytest.param((None, 56, None), 1, (17, 3), False, Layout.RAW, id="raw, anchors free"),
        pytest.param((None, None, None), 1, (17, 3), False, Layout.RAW, id="all free, no nms"),
        pytest.param((None, None, None), 1, (17, 3), True, Layout.ROWS, id="all free, nms"),
        pytest.param((1, 56, 57), 1, (17, 3), True, Layout.ROWS, id="56 rows of 57"),
        pytest.param((1, 56, 57), 1, (17, 3), False, Layout.RAW, id="57 anchors of 56"),
        pytest.param((4, 15, 2100), 3, (4, 2), False, Layout.RAW, id="three classes, four points"),
    ],
)
def test_layout_is_told_from_shape_then_metadata(output, classes, kpt_shape, suppresses, expected):
    assert find_layout(output, classes, kpt_shape, suppresses, "model") is expected


@pytest.mark.parametrize(
    ("output", "found"),
    [
        pytest.param((1, 84, 8400), "1 x 84 x 8400", id="a detector of 80 classes"),
        pytest.param((1, 8400, 56), "1 x 8400 x 56", id="turned round"),
        pytest.param((1, 1000), "1 x 1000", id="two dimensions"),
        pytest.param((None, 3, 80, 80), r"\? x 3 x 80 x 80", id="four dimensions"),
        pytest.param((), "a single number", id="no dimension"),
    ],
)
def test_other_shapes_are_refused_saying_what_was_found(output, found):
    with pytest.raises(
        ModelError, match=rf"output of model .* {found}: expected .* 57 for 1 class"
    ):
        find_layout(output, 1, (17, 3), False, "model")
