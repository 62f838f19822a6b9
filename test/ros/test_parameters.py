# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
import yaml

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image.jpeg import JpegSettings
from kp_pose_ros.output.drawing import Style
from kp_pose_ros.ros.parameters import RULES, Parameters

CONFIG = Path(__file__).parents[2] / "config" / "pose.yaml"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("model", "", "empty: expected the path", id="no model"),
        pytest.param("model", True, "is True: expected a text", id="a model that is no text"),
        pytest.param("engine", "cuda", "one of auto, tensorrt, openvino", id="an unknown engine"),
        pytest.param("score_threshold", 1.5, "is 1.5: expected a number from 0 to 1", id="above"),
        pytest.param("iou_threshold", -0.1, "is -0.1: expected a number from 0 to 1", id="below"),
        pytest.param("keypoint_threshold", float("nan"), "is nan: expected a number", id="NaN"),
        pytest.param("score_threshold", True, "is True: expected a number", id="true as a number"),
        pytest.param("score_threshold", "0.5", "is '0.5': expected a number", id="text as number"),
        pytest.param("max_batch", 0, "is 0: expected a whole number from 1 to 64", id="no batch"),
        pytest.param("max_poses", 2.5, "is 2.5: expected a whole number", id="half a pose"),
        pytest.param("always_on", 1, "is 1: expected true or false", id="number as a switch"),
        pytest.param("image_qos", "best_effort", "one of auto, sensor_data, reliable", id="QoS"),
        pytest.param("annotated.color_by", "mood", "one of part, track", id="nested parameter"),
        pytest.param("threads", "many", "expected 'auto', or 1 to 9999", id="threads as a word"),
        pytest.param("threads", 0, "expected 'auto', or 1 to 9999", id="no threads"),
        pytest.param("threads", "9" * 5000, "or 1 to 9999", id="threads of 5,000 digits"),
        pytest.param("threads", 1.5, "expected a text", id="half a thread"),
        pytest.param("imgsz", "big", "expected 'auto', or height and width", id="size as a word"),
        pytest.param("imgsz", "0, 640", "expected 'auto', or height and width", id="size of zero"),
        pytest.param("imgsz", [384, 640, 3], "expected 'auto', or", id="size of three numbers"),
        pytest.param(
            "imgsz", "9" * 5000, "expected 'auto', or height and", id="a size of 5,000 digits"
        ),
        pytest.param("imgsz", [], "expected a text", id="size of no numbers"),
        pytest.param("imgsz", 38.5, "expected a text", id="size of half a pixel"),
        pytest.param("cameras", ["front", "front"], "'front' more than once", id="same name twice"),
        pytest.param("cameras", ["front", ""], "the name ''", id="one of two without a name"),
        pytest.param("cameras", ["2nd"], "the name '2nd'", id="digit first"),
        pytest.param("cameras", ["/front"], "the name '/front'", id="absolute name"),
        pytest.param("target_frame", "/odom", "not begin with a slash", id="a frame of ROS 1"),
        pytest.param("cameras", ["front camera"], "the name 'front camera'", id="space in a name"),
        pytest.param("cameras", [1, 2], "expected a list of texts", id="numbers as names"),
        pytest.param("cameras", 7, "expected a list of texts", id="a number as names"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_it(name, value, expected):
    with pytest.raises(SettingsError) as refused:
        Parameters.from_values({name: value})
    message = str(refused.value)
    assert message.startswith(f"parameter '{name}'")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("auto", None, id="auto"),
        pytest.param("384, 640", (384, 640), id="comma and space"),
        pytest.param("384,640", (384, 640), id="comma"),
        pytest.param("384x640", (384, 640), id="x"),
        pytest.param("640", (640, 640), id="one number, a square"),
        pytest.param([384, 640], (384, 640), id="a YAML list"),
        pytest.param(640, (640, 640), id="a YAML number"),
    ],
)
def test_the_network_size_may_be_written_in_several_ways(text, size):
    assert Parameters.from_values({"imgsz": text}).network_size == size


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("auto", None, id="auto"),
        pytest.param(2, 2, id="a YAML number"),
        pytest.param("2", 2, id="a text"),
    ],
)
def test_the_engine_gets_as_many_threads_as_asked_for(given, expected):
    assert Parameters.from_values({"threads": given}).estimator_settings().threads == expected


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param("front,rear", ("front", "rear"), id="from a command line"),
        pytest.param("front, rear", ("front", "rear"), id="with a space"),
        pytest.param(["front", "rear"], ("front", "rear"), id="a YAML list"),
        pytest.param(["left/front"], ("left/front",), id="a name with a namespace"),
        pytest.param([], ("",), id="an empty list: one camera without a name"),
        pytest.param("", ("",), id="an empty text: one camera without a name"),
    ],
)
def test_cameras_may_be_written_in_several_ways(given, names):
    assert Parameters.from_values({"cameras": given}).cameras == names


def test_a_whole_number_does_for_a_number():
    assert Parameters.from_values({"score_threshold": 1}).decode.score_threshold == 1.0


def test_values_are_what_the_parameters_are_made_of():
    parameters = Parameters.from_values({"annotated.legend": True, "max_poses": 7})
    assert parameters.style.legend is True
    assert Parameters.from_values(parameters.values()) == parameters


def test_the_thresholds_reach_the_estimator_and_the_picture():
    parameters = Parameters.from_values(
        {"score_threshold": 0.1, "iou_threshold": 0.2, "keypoint_threshold": 0.3, "max_poses": 4}
    )
    decode = parameters.estimator_settings().decode
    assert (decode.score_threshold, decode.iou_threshold) == (0.1, 0.2)
    assert (decode.keypoint_threshold, decode.max_poses) == (0.3, 4)


def test_what_is_said_of_annotated_pictures_reaches_both_kinds():
    parameters = Parameters.from_values(
        {"annotated.limbs": False, "annotated.jpeg_quality": 50, "annotated.max_width": 320}
    )
    assert parameters.style == Style(limbs=False)
    assert parameters.jpeg == JpegSettings(jpeg_quality=50, max_rate=0.0, max_width=320)


@pytest.mark.parametrize(
    ("cameras", "batch"),
    [
        pytest.param([], 1, id="one camera"),
        pytest.param(["a", "b"], 2, id="fewer cameras than it may be"),
        pytest.param(["a", "b", "c", "d", "e"], 3, id="more cameras"),
    ],
)
def test_a_batch_is_not_larger_than_there_are_cameras(cameras, batch):
    parameters = Parameters.from_values({"cameras": cameras, "max_batch": 3})
    assert parameters.estimator_settings().max_batch == batch


def test_the_config_file_lists_every_parameter_with_its_default():
    listed = yaml.safe_load(CONFIG.read_text())["/**"]["ros__parameters"]
    for group in ("annotated", "tracking", "depth", "rig", "diagnostics"):
        listed |= {f"{group}.{name}": value for name, value in listed.pop(group).items()}
    defaults = {
        name: list(rule.default) if isinstance(rule.default, tuple) else rule.default
        for name, rule in RULES.items()
    }
    assert listed == defaults


def test_the_config_file_marks_what_may_change_while_the_node_runs():
    comment, marked = "", set()
    for line in CONFIG.read_text().split("ros__parameters:")[1].splitlines():
        name = line.split(":")[0].strip()
        if name.startswith("#"):
            comment += name
        elif name:
            if "while running)" in comment:
                marked.add(name)
            comment = ""
    groups = {name.split(".")[0] for name, rule in RULES.items() if rule.changeable}
    assert marked == groups
