# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.fields import Fields

GETTERS = {
    "args": lambda fields: fields.argument("nms"),
    "end2end": lambda fields: fields.flag("end2end"),
    "imgsz": lambda fields: fields.size("imgsz"),
    "kpt_names": lambda fields: fields.keypoint_names(2, 1),
    "kpt_shape": lambda fields: fields.kpt_shape(),
    "names": lambda fields: fields.class_names(),
    "stride": lambda fields: fields.whole_number("stride", 1024),
    "task": lambda fields: fields.text("task"),
}


def read(key, value):
    return GETTERS[key](Fields({key: value}, "model.onnx"))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("task", "pose", "pose", id="a text is taken as it is"),
        pytest.param("stride", "32", 32, id="number as text"),
        pytest.param("stride", 32, 32, id="number"),
        pytest.param("imgsz", "[384, 640]", (384, 640), id="size as text"),
        pytest.param("imgsz", [384, 640], (384, 640), id="size"),
        pytest.param("imgsz", "640", (640, 640), id="one number for a square"),
        pytest.param("imgsz", [640], (640, 640), id="list of one number"),
        pytest.param("names", "{0: 'cat', 1: 'dog'}", ("cat", "dog"), id="classes as text"),
        pytest.param("names", {"1": "dog", "0": "cat"}, ("cat", "dog"), id="classes from JSON"),
        pytest.param("names", ["cat", "dog"], ("cat", "dog"), id="classes as a list"),
        pytest.param("names", "[1, 2]", ("1", "2"), id="class names that are numbers"),
        pytest.param("kpt_names", "['a', 1]", ("a", "1"), id="a keypoint name that is a number"),
        pytest.param("kpt_shape", "[17, 3]", (17, 3), id="keypoint shape as text"),
        pytest.param("kpt_shape", (4, 2), (4, 2), id="keypoint shape"),
        pytest.param("kpt_names", "{0: ['a', 'b']}", ("a", "b"), id="keypoints of a class"),
        pytest.param("kpt_names", ["a", "b"], ("a", "b"), id="keypoints as a list"),
        pytest.param("kpt_names", {"0": ["0", "1"]}, (), id="numbers in place of names"),
        pytest.param("kpt_names", {}, (), id="no class has keypoint names"),
        pytest.param("end2end", "True", True, id="flag as text"),
        pytest.param("end2end", False, False, id="flag"),
        pytest.param("args", "{'nms': True}", True, id="argument as text"),
        pytest.param("args", {"batch": 1}, None, id="absent argument"),
    ],
)
def test_value_is_read_from_text_and_from_its_own_type(key, value, expected):
    assert read(key, value) == expected


NOT_NAMES = [
    pytest.param("names", "{}", id="no classes"),
    pytest.param("names", "{1: 'dog'}", id="class zero missing"),
    pytest.param("names", "person", id="class name without quotes"),
    pytest.param("names", "[['a'], 'b']", id="class names in lists"),
    pytest.param("names", "['a', ' ']", id="a blank class name"),
    pytest.param("names", "['\\x1b[2J', 'b']", id="control characters"),
    pytest.param("names", ["\ud800", "b"], id="half a character"),
    pytest.param("kpt_names", "['a']", id="too few keypoint names"),
    pytest.param("kpt_names", "['a', 'b', 'c']", id="too many"),
    pytest.param("kpt_names", "['a', 'a']", id="keypoint name twice"),
    pytest.param("kpt_names", "{0: [['a', 'b']]}", id="nested"),
    pytest.param("kpt_names", "{0: [['a'], ['b']]}", id="each in a list"),
    pytest.param("kpt_names", "{0: ['a', 'b'], 1: ['a', 'c']}", id="other names in another class"),
    pytest.param("kpt_names", "['a', None]", id="one is missing"),
    pytest.param("kpt_names", "nose and tail", id="no literal"),
    pytest.param("kpt_names", "7", id="a number"),
]


@pytest.mark.parametrize(("key", "value"), NOT_NAMES)
def test_labels_of_no_use_are_left_out_with_a_warning(key, value, caplog):
    assert not read(key, value)
    assert f"the metadata key {key} of model.onnx" in caplog.text


def test_keypoint_names_have_to_serve_every_class():
    names = Fields({"kpt_names": {0: ["a", "b"], 1: ["a", "b"]}}, "model")
    assert names.keypoint_names(2, classes=2) == ("a", "b")
    assert Fields({"kpt_names": {0: ["a", "b"]}}, "model").keypoint_names(2, classes=2) == ()


@pytest.mark.parametrize("key", [pytest.param(key, id=key) for key in GETTERS])
def test_absent_key_is_empty(key):
    assert not GETTERS[key](Fields({}, "model.onnx"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("task", 3, id="task a number"),
        pytest.param("stride", "0", id="stride zero"),
        pytest.param("stride", "1025", id="stride too large"),
        pytest.param("stride", "32.0", id="stride a fraction"),
        pytest.param("stride", True, id="stride a truth value"),
        pytest.param("imgsz", "[640, 640, 640]", id="three sides"),
        pytest.param("imgsz", "[-640, 640]", id="negative side"),
        pytest.param("imgsz", "1e9", id="huge side"),
        pytest.param("imgsz", "[]", id="no sides"),
        pytest.param("kpt_shape", "[17]", id="keypoint shape of one number"),
        pytest.param("kpt_shape", "[17, 4]", id="keypoints of four numbers"),
        pytest.param("kpt_shape", "[0, 3]", id="no keypoints"),
        pytest.param("kpt_shape", "[10**9, 3]", id="an expression"),
        pytest.param("end2end", "yes", id="flag a word"),
        pytest.param("args", "[]", id="arguments a list"),
        pytest.param("args", "__import__('os').abort()", id="a call"),
        pytest.param("args", "[" * 5_000, id="brackets without an end"),
        pytest.param("args", "-" * 900_000 + "1", id="nested a million deep"),
        pytest.param("args", "9" * 5_000, id="a number of 5,000 digits"),
        pytest.param("args", "'" + "a" * 2_000_000 + "'", id="two million letters"),
        pytest.param("args", "{[]: 1}", id="unhashable key"),
        pytest.param("args", "\0", id="zero byte"),
    ],
)
def test_wrong_value_is_refused_naming_key_found_and_expected(key, value):
    with pytest.raises(ModelError, match=rf"key {key} of model\.onnx is .*: expected") as caught:
        read(key, value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=40)  # test/fuzz tries more
@given(key=st.sampled_from(sorted(GETTERS)), value=LITERALS | LITERALS.map(repr) | st.text())
def test_any_value_is_read_or_refused_with_nothing_but_a_model_error(key, value):
    with contextlib.suppress(ModelError):
        read(key, value)
