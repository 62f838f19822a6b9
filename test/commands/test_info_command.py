# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.cli import main


def test_info_tells_the_model_and_its_keypoints(demo_weights, capsys):
    assert main(["info", str(demo_weights)]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = dict(line.split(maxsplit=1) for line in lines[: lines.index("")])
    assert table["classes"] == "person"
    assert table["keypoints"] == "17 of x y score"
    assert table["skeleton"] == "coco17, 19 edges"
    assert table["input"] == "640 x 640 (height x width); any multiples of 32"
    assert table["batch"] == "any"
    assert table["layout"].startswith("raw")
    assert "  9  left_wrist          left_elbow" in lines


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        pytest.param(["yolo99-pose"], "yolo99-pose was not found: expected", id="unknown name"),
        pytest.param(["yolov8x-pose"], "run `kp_pose fetch yolov8x-pose`", id="not fetched yet"),
        pytest.param(["{model}", "--skeleton", "face5"], "face5 has 5 keypoints", id="skeleton"),
    ],
)
def test_mistakes_are_told_with_the_mend(demo_weights, capsys, arguments, phrase):
    assert main(["info", *(each.format(model=demo_weights) for each in arguments)]) == 1
    assert phrase in capsys.readouterr().err
