# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from pose_graphs import constant_model, random_raw, run

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import (
    MAX_CANDIDATES,
    GraphShape,
    Layout,
    Width,
    find_layout,
)
from kp_pose_ros.models.metadata import LAYOUT_KEY
from kp_pose_ros.models.prepare import prepare

SQUARE = (None, 3, 640, 640)  # 8,400 cells, three anchors each in YOLOv7: 25,200
FREE = (None, 3, None, None)
COCO = Width(1, (17, 3))
TWO = Width(2, (17, 3))
SAYS = {"suppresses": True, "does not": False, "says nothing": None}


@pytest.mark.parametrize(
    ("output", "width", "says", "expected"),
    [
        pytest.param((1, 56, 8400), COCO, "does not", Layout.RAW, id="raw"),
        pytest.param((1, 56, 8400), COCO, "says nothing", Layout.RAW, id="raw, silent metadata"),
        pytest.param((1, 56, 8400), COCO, "suppresses", Layout.RAW, id="raw, whatever it says"),
        pytest.param((None, 56, None), COCO, "does not", Layout.RAW, id="raw, anchors free"),
        pytest.param((1, 57, 8400), TWO, "does not", Layout.RAW, id="two classes"),
        pytest.param((1, 300, 57), COCO, "suppresses", Layout.ROWS, id="rows"),
        pytest.param((1, 300, 57), COCO, "does not", Layout.ROWS, id="rows, by width and number"),
        pytest.param((1, 300, 57), COCO, "says nothing", Layout.ROWS, id="rows, silent metadata"),
        pytest.param((1, 5000, 57), COCO, "suppresses", Layout.ROWS, id="5,000 rows"),
        pytest.param((None, None, 57), COCO, "suppresses", Layout.ROWS, id="any number of rows"),
        pytest.param((1, 300, 57), TWO, "says nothing", Layout.ROWS, id="rows of two classes"),
        pytest.param((1, 8400, 56), COCO, "does not", Layout.TRANSPOSED, id="turned round"),
        pytest.param((1, 8400, 57), TWO, "does not", Layout.TRANSPOSED, id="as wide as rows"),
        pytest.param((None, None, 57), TWO, "does not", Layout.TRANSPOSED, id="any number, no nms"),
        pytest.param((1, 25200, 57), COCO, "says nothing", Layout.YOLOV7, id="YOLOv7"),
        pytest.param((1, 25200, 58), TWO, "says nothing", Layout.YOLOV7, id="YOLOv7, two classes"),
        pytest.param((1, 8400, 57), COCO, "says nothing", Layout.YOLOV7, id="an anchor a cell"),
        pytest.param((1, 56, 57), COCO, "suppresses", Layout.ROWS, id="56 rows of 57"),
        pytest.param((1, 56, 57), COCO, "does not", Layout.RAW, id="57 anchors of 56"),
    ],
)
def test_layout_is_told_by_width_number_and_metadata(output, width, says, expected):
    assert find_layout(GraphShape(SQUARE, output), width, SAYS[says], "model") is expected


@pytest.mark.parametrize(
    ("picture", "output", "width", "says"),
    [
        pytest.param(SQUARE, (1, None, 57), COCO, "says nothing", id="rows or YOLOv7"),
        pytest.param(SQUARE, (1, None, 57), TWO, "says nothing", id="rows or turned round"),
        pytest.param(SQUARE, (1, 8400, 56), COCO, "says nothing", id="centres or corners"),
        pytest.param(FREE, (1, None, 57), COCO, "does not", id="no layout of ultralytics"),
        pytest.param(SQUARE, (1, 56, 57), COCO, "says nothing", id="57 anchors or 56 rows"),
    ],
)
def test_what_may_be_several_layouts_is_refused_and_they_are_named(picture, output, width, says):
    with pytest.raises(
        ModelError, match=r"may be \w+( or \w+)+: set which one .* layout"
    ) as caught:
        find_layout(GraphShape(picture, output), width, SAYS[says], "model")
    assert "output of model has the shape" in str(caught.value)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        pytest.param((1, 84, 8400), "1 x 84 x 8400", id="a detector of 80 classes"),
        pytest.param((1, 8401, 56), "1 x 8401 x 56", id="a number of anchors of no head"),
        pytest.param((1, 5000, 57), "1 x 5000 x 57", id="too many rows, no head's anchors"),
        pytest.param((1, 1000), "1 x 1000", id="two dimensions"),
        pytest.param((None, 3, 80, 80), r"\? x 3 x 80 x 80", id="four dimensions"),
        pytest.param((), "a single number", id="no dimension"),
    ],
)
def test_other_shapes_are_refused_saying_what_was_found(output, found):
    with pytest.raises(
        ModelError, match=rf"output of model .* {found}: expected .* 57 for kpt_shape"
    ):
        find_layout(GraphShape(SQUARE, output), COCO, None, "model")


def test_an_objects_score_times_its_class_score_is_a_score():
    raw = random_raw(2, (3, 3), 378)
    rows = np.concatenate((raw[:4], np.full((1, 378), 0.5), raw[4:])).T
    model = constant_model(rows, metadata=metadata(2, (3, 3)))
    prepare(model, (64, 96))
    raw[4:6] *= 0.5
    found = run(model, np.zeros((1, 3, 64, 96), np.float32))[0]
    np.testing.assert_allclose(found, expected_rows(raw, 2), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("layout", [Layout.TRANSPOSED, Layout.DEEPSTREAM])
def test_a_row_for_each_anchor_is_turned_round(layout):
    raw = random_raw(2, (3, 3), 126)
    rows = raw.copy()
    if layout is Layout.DEEPSTREAM:
        rows[:4] = corners(raw)
    model = constant_model(rows.T, metadata=metadata(2, (3, 3)) | {LAYOUT_KEY: layout.value})
    prepare(model, (64, 96))
    found = run(model, np.zeros((1, 3, 64, 96), np.float32))[0]
    np.testing.assert_allclose(found, expected_rows(raw, 2), rtol=1e-6, atol=1e-4)


def expected_rows(raw, classes):
    """The selection head in numpy."""
    scores = raw[4 : 4 + classes]
    best = scores.max(axis=0)
    order = np.argsort(-best, kind="stable")[:MAX_CANDIDATES]
    class_id = scores.argmax(axis=0)
    return np.vstack((corners(raw), best, class_id, raw[4 + classes :]))[:, order].T


def corners(raw):
    centre, half_size = raw[:2], raw[2:4] / 2
    return np.vstack((centre - half_size, centre + half_size))


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
