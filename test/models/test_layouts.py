# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from pose_graphs import constant_model, random_raw, run

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import MAX_CANDIDATES, Layout, find_layout
from kp_pose_ros.models.prepare import prepare


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


def expected_rows(raw, classes):
    """The selection head in numpy."""
    scores = raw[4 : 4 + classes]
    best = scores.max(axis=0)
    order = np.argsort(-best, kind="stable")[:MAX_CANDIDATES]
    box, class_id = raw[:4, order], scores.argmax(axis=0)[order]
    corners = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    return np.vstack((*corners, best[order], class_id, raw[4 + classes :, order])).T


def metadata(classes, kpt_shape):
    return {
        "names": str({place: f"class {place}" for place in range(classes)}),
        "kpt_shape": str(list(kpt_shape)),
    }


@pytest.mark.parametrize(
    ("classes", "kpt_shape", "anchors"),
    [
        pytest.param(1, (17, 3), 8400, id="people at 640 x 640"),
        pytest.param(3, (5, 3), 2100, id="three classes of five points"),
        pytest.param(80, (4, 2), 1344, id="many classes, points without a score"),
        pytest.param(2, (1, 2), MAX_CANDIDATES, id="as many anchors as candidates"),
        pytest.param(2, (1, 2), 84, id="fewer anchors than candidates"),
        pytest.param(1, (17, 3), 1, id="a single anchor"),
    ],
)
def test_rows_are_the_best_columns_best_first(classes, kpt_shape, anchors):
    raw = random_raw(classes, kpt_shape, anchors)
    model = constant_model(raw, metadata=metadata(classes, kpt_shape))
    prepare(model, (64, 96))
    rows = run(model, np.zeros((2, 3, 64, 96), np.float32))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[0], expected_rows(raw, classes), rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(rows[0], rows[1])


@pytest.mark.parametrize("opset", [pytest.param(n, id=f"opset {n}") for n in range(11, 23)])
def test_selection_is_valid_in_every_opset(opset):
    raw = random_raw(3, (5, 3), 2100)
    model = constant_model(raw, metadata=metadata(3, (5, 3)), opset=opset)
    prepare(model, (64, 96))
    rows = run(model, np.zeros((1, 3, 64, 96), np.float32))
    np.testing.assert_allclose(rows[0], expected_rows(raw, 3), rtol=1e-6, atol=1e-4)


def test_each_picture_of_a_batch_has_its_own_selection():
    """One picture's scores are turned round, so that it must select other columns."""
    raw = random_raw(1, (2, 2), 2100)
    model = constant_model(raw, metadata=metadata(1, (2, 2)))
    model.graph.node[0].input[1] = "ones"
    other = raw[:, ::-1] - raw
    _add_for_white_pictures(model, other)
    prepare(model, (64, 96))
    pictures = np.stack((np.zeros((3, 64, 96)), np.ones((3, 64, 96)))).astype(np.float32)
    rows = run(model, pictures)
    np.testing.assert_allclose(rows[0], expected_rows(raw, 1), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(rows[1], expected_rows(raw[:, ::-1], 1), rtol=1e-5, atol=1e-3)


def _add_for_white_pictures(model, values):
    """Add `values` to the output for a white picture, nothing for a black one."""
    from onnx import helper, numpy_helper

    graph = model.graph
    graph.initializer.extend(
        (
            numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "ones"),
            numpy_helper.from_array(values[None].astype(np.float32), "other"),
        )
    )
    graph.node[-1].input[0] = "scaled"
    graph.node.insert(len(graph.node) - 1, helper.make_node("Mul", ["zeros", "other"], ["scaled"]))
