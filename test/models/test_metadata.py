# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import GraphShape, Layout
from kp_pose_ros.models.metadata import Assumed, ModelMetadata, read_metadata

STATIC = GraphShape((1, 3, 384, 640), (1, 56, 5040))
FREE = GraphShape((None, 3, None, None), (None, None, None))
COCO = {
    "task": "pose",
    "names": "{0: 'person'}",
    "kpt_shape": "[17, 3]",
    "imgsz": "[480, 640]",
    "stride": "32",
    "batch": "1",
    "args": "{'dynamic': True, 'nms': None}",
    "end2end": "False",
}


def without(*keys):
    return {key: value for key, value in COCO.items() if key not in keys}


def test_everything_is_read_and_a_fixed_shape_counts_more_than_the_metadata():
    assert read_metadata(COCO, STATIC, "model") == ModelMetadata(
        class_names=("person",),
        kpt_shape=(17, 3),
        keypoint_names=(),
        imgsz=(384, 640),
        stride=32,
        channels=3,
        layout=Layout.RAW,
        batch=1,
        size_is_static=True,
    )


def test_free_shape_takes_the_size_of_the_metadata():
    metadata = read_metadata(COCO, FREE, "model")
    assert metadata.imgsz == (480, 640)
    assert not metadata.size_is_static
    assert metadata.batch is None


@pytest.mark.parametrize(
    ("values", "shape", "expected"),
    [
        pytest.param(COCO, FREE, Layout.RAW, id="raw"),
        pytest.param(COCO | {"end2end": "True"}, FREE, Layout.ROWS, id="end-to-end"),
        pytest.param(COCO | {"args": "{'nms': True}"}, FREE, Layout.ROWS, id="suppression inside"),
        pytest.param(
            COCO | {"kp_pose_layout": "candidates"},
            GraphShape((1, 3, 384, 640), (1, 1024, 57)),
            Layout.CANDIDATES,
            id="prepared before",
        ),
    ],
)
def test_layout_decides_whether_decoding_must_suppress(values, shape, expected):
    metadata = read_metadata(values, shape, "model")
    assert metadata.layout is expected
    assert metadata.layout.needs_suppression is (expected is not Layout.ROWS)
    assert metadata.row_width == 57


def test_old_files_lack_size_stride_and_task():
    metadata = read_metadata(without("imgsz", "stride", "task", "args", "end2end"), FREE, "model")
    assert metadata.imgsz == (640, 640)
    assert metadata.stride == 32


@pytest.mark.parametrize(
    ("output", "layout"),
    [
        pytest.param((1, 56, 8400), Layout.RAW, id="raw"),
        pytest.param((1, 300, 57), Layout.ROWS, id="rows"),
        pytest.param((1, 25200, 57), Layout.YOLOV7, id="YOLOv7"),
    ],
)
def test_without_any_metadata_the_shape_of_coco_is_taken_for_coco(output, layout, caplog):
    with caplog.at_level(logging.WARNING):
        metadata = read_metadata({}, GraphShape((1, 3, 640, 640), output), "bare.onnx")
    assert metadata.class_names == ("person",)
    assert metadata.kpt_shape == (17, 3)
    assert metadata.layout is layout
    assert "bare.onnx has no metadata" in caplog.text


@pytest.mark.parametrize(
    ("values", "shape", "phrase"),
    [
        pytest.param(COCO | {"task": "detect"}, STATIC, "the task 'detect'", id="detector"),
        pytest.param(
            {},
            GraphShape((1, 3, 640, 640), (1, 84, 8400)),
            r"lacks names and kpt_shape, and its output of shape 1 x 84 x 8400",
            id="no metadata, unknown shape",
        ),
        pytest.param(without("kpt_shape"), STATIC, "lacks kpt_shape", id="keypoints missing"),
        pytest.param(
            COCO,
            GraphShape((1, 640, 640, 3), (1, 56, 8400)),
            "1 x 640 x 640 x 3: expected batch x 3 x height",
            id="channels last",
        ),
        pytest.param(
            COCO, GraphShape((1, 4, 640, 640), (1, 56, 8400)), "1 x 4 x 640", id="four channels"
        ),
        pytest.param(
            without("names"),
            GraphShape((1, 3, 640, 640), (1, 300, 57)),
            "lacks names",
            id="rows do not tell the number of classes",
        ),
        pytest.param(
            COCO,
            GraphShape((1, 3, 640, None), (1, 56, None)),
            r"1 x 3 x 640 x \?: .* both fixed or both free",
            id="only the width is free",
        ),
        pytest.param(COCO, GraphShape((), ()), "the input of model", id="no input"),
        pytest.param(
            {},
            GraphShape((1, 3, 640, 640), (1, 8400, 57)),
            "may be yolov7 or transposed or deepstream: set which one",
            id="no metadata, YOLOv7 or two classes turned round",
        ),
        pytest.param(
            {},
            GraphShape((None, 3, 640, 640), (None, None, 57)),
            "may be yolov7 or rows or transposed or deepstream: set which one",
            id="no metadata, any number of rows",
        ),
        pytest.param(
            {},
            GraphShape((1, 3, 640, 640), (1, 8400, 56)),
            "may be transposed or deepstream: set which one",
            id="no metadata, centres or corners",
        ),
        pytest.param(
            {},
            GraphShape((1, 3, 640, 640), (1, 57, 8400)),
            "lacks names and kpt_shape",
            id="no metadata, perhaps two classes",
        ),
    ],
)
def test_what_is_no_pose_model_is_refused_saying_what_was_found(values, shape, phrase):
    with pytest.raises(ModelError, match=phrase) as caught:
        read_metadata(values, shape, "model")
    assert "\n" not in str(caught.value)


def test_classes_without_names_are_counted_by_the_shape():
    names = read_metadata(without("names"), STATIC, "model").class_names
    assert names == ("class 0",)


@pytest.mark.parametrize(
    ("layout", "output", "keypoints", "classes", "kpt_shape"),
    [
        pytest.param(Layout.RAW, (1, 57, 8400), None, 2, (17, 3), id="raw, two classes"),
        pytest.param(Layout.TRANSPOSED, (1, 8400, 57), None, 2, (17, 3), id="turned round"),
        pytest.param(Layout.DEEPSTREAM, (1, 8400, 57), None, 2, (17, 3), id="box corners"),
        pytest.param(Layout.YOLOV7, (1, 8400, 57), None, 1, (17, 3), id="YOLOv7"),
        pytest.param(Layout.ROWS, (None, None, 57), None, 1, (17, 3), id="rows"),
        pytest.param(Layout.RAW, (1, 20, 8400), 5, 1, (5, 3), id="a skeleton of five points"),
    ],
)
def test_a_layout_that_the_user_names_tells_the_rest(layout, output, keypoints, classes, kpt_shape):
    shape = GraphShape((1, 3, 640, 640), output)
    found = read_metadata({}, shape, "bare.onnx", Assumed(layout, keypoints))
    assert (found.layout, len(found.class_names), found.kpt_shape) == (layout, classes, kpt_shape)


@pytest.mark.parametrize(
    ("values", "layout", "output"),
    [
        pytest.param(COCO, Layout.ROWS, (1, 300, 58), id="rows of another width"),
        pytest.param(COCO, Layout.TRANSPOSED, (1, 8400, 57), id="another number of classes"),
        pytest.param({}, Layout.RAW, (1, 40, 8400), id="no class at all"),
        pytest.param({}, Layout.YOLOV7, (1, 57), id="two dimensions"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(values, layout, output):
    shape = GraphShape((1, 3, 640, 640), output)
    with pytest.raises(ModelError, match=f"is not the layout {layout.value}"):
        read_metadata(values, shape, "model", Assumed(layout))


def test_grey_pictures_have_one_channel():
    shape = GraphShape((1, 1, 640, 640), (1, 56, 8400))
    assert read_metadata(COCO, shape, "model").channels == 1
