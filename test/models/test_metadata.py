# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.layouts import GraphShape, Layout
from kp_pose_ros.models.metadata import ModelMetadata, read_metadata

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
        task="pose",
        class_names=("person",),
        kpt_shape=(17, 3),
        keypoint_names=(),
        imgsz=(384, 640),
        stride=32,
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
    assert metadata.needs_suppression is (expected is not Layout.ROWS)
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
        pytest.param(without("names"), STATIC, "lacks names", id="classes missing"),
        pytest.param(
            COCO,
            GraphShape((1, 640, 640, 3), (1, 56, 8400)),
            "1 x 640 x 640 x 3: expected batch x 3 x height",
            id="channels last",
        ),
        pytest.param(
            COCO, GraphShape((1, 1, 640, 640), (1, 56, 8400)), "1 x 1 x 640", id="grey pictures"
        ),
        pytest.param(
            COCO,
            GraphShape((1, 3, 640, None), (1, 56, None)),
            r"1 x 3 x 640 x \?: .* both fixed or both free",
            id="only the width is free",
        ),
        pytest.param(COCO, GraphShape((), ()), "the input of model", id="no input"),
        pytest.param(
            COCO | {"kpt_names": "{0: ['nose']}"}, STATIC, "expected 17 names", id="one name of 17"
        ),
    ],
)
def test_what_is_no_pose_model_is_refused_saying_what_was_found(values, shape, phrase):
    with pytest.raises(ModelError, match=phrase) as caught:
        read_metadata(values, shape, "model")
    assert "\n" not in str(caught.value)
