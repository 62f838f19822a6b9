# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.space.multi_camera.rig_file import RigFile

# As camera_calibration writes it, without what is not read.
FRONT = {
    "image_width": 640,
    "image_height": 480,
    "camera_matrix": {"rows": 3, "cols": 3, "data": [600, 0, 320, 0, 610, 240, 0, 0, 1]},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, -0.2, 0, 0, 0]},
}
# Turned a quarter to the left about its vertical axis, which points down.
REAR = {"translation": [1, 2, 3], "rotation": [0, -0.7071, 0, 0.7071], "calibration": "front.yaml"}


def rig(**cameras):
    front = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "calibration": "front.yaml"}
    return {"frame_id": "room", "cameras": {"front": front, "rear": REAR | cameras}}


@pytest.fixture
def write(tmp_path):
    """Writer of a rig and the calibration of its cameras; returns the rig's path."""

    def write(content, calibration=FRONT):
        for name, each in {"rig": content, "front": calibration}.items():
            text = each if isinstance(each, str) else yaml.safe_dump(each)
            (tmp_path / f"{name}.yaml").write_text(text)
        return tmp_path / "rig.yaml"

    return write


def test_a_rig_says_where_cameras_stand_and_how_they_see(write):
    found = RigFile.load(write(rig()))
    assert found.frame_id == "room"
    assert list(found.viewpoints) == ["front", "rear"]
    np.testing.assert_array_equal(found.viewpoints["front"].pose, np.eye(4))
    rear = found.viewpoints["rear"]
    np.testing.assert_allclose(rear.pose @ (0, 0, 1, 1), (0, 2, 3, 1), atol=1e-6)
    assert rear.camera.size == (480, 640)
    assert rear.camera.matrix[1].tolist() == [0, 610, 240]
    assert (rear.camera.model, rear.camera.coefficients[1]) == ("plumb_bob", -0.2)


def test_a_cameras_path_is_relative_to_the_rigs(write, monkeypatch, tmp_path):
    path = write(rig())
    monkeypatch.chdir("/")
    assert len(RigFile.load(path).viewpoints) == 2


def test_the_documents_example_is_a_rig(write, tmp_path):
    document = (Path(__file__).parents[3] / "docs" / "space.md").read_text()
    [example] = re.findall(r"```yaml\n(frame_id: .*?)```", document, re.DOTALL)
    (tmp_path / "rear.yaml").write_text(yaml.safe_dump(FRONT))
    found = RigFile.load(write(example))
    assert found.frame_id == "room"
    for view in found.viewpoints.values():
        assert (view.pose[:3, 2] * -view.pose[:3, 3]).sum() > 0, "it looks away from the middle"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("[", r"rig\.yaml cannot be read: ", id="no YAML"),
        pytest.param("7", "expected a YAML mapping, found 7", id="no mapping"),
        pytest.param({"frame_id": "room"}, "cameras is None: expected a mapping", id="no cameras"),
        pytest.param(rig() | {"frame_id": ""}, "frame_id is ''", id="no frame"),
        pytest.param(
            {"frame_id": "room", "cameras": {"rear": REAR}}, "two or more", id="one camera"
        ),
        pytest.param(rig(translation=[1, 2]), r"'rear': translation is \[1, 2\]", id="two numbers"),
        pytest.param(rig(translation="here"), "translation is 'here'", id="a text"),
        pytest.param(rig(translation=[0, 0, ".nan"]), "translation is ", id="not a number"),
        pytest.param(rig(translation=[0, 0, 0]), "different places", id="the same place"),
        pytest.param(rig(rotation=[0, 0, 0, 0]), "has the length 0: expected a unit", id="zeros"),
        pytest.param(rig(rotation=[0, 0, 1]), r"rotation is \[0, 0, 1\]", id="Euler angles"),
        pytest.param(rig(calibration=None), "calibration is None: expected the", id="none"),
        pytest.param(rig(calibration="x.yaml"), r"'rear': .*x\.yaml cannot be read", id="no file"),
    ],
)
def test_a_rig_that_cannot_be_is_refused_in_a_sentence(write, content, says):
    path = write(content)
    with pytest.raises(CalibrationError, match=says) as error:
        RigFile.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        pytest.param("image_width", "wide", "image_width 'wide': expected pixels", id="no width"),
        pytest.param("image_width", 0, "has the size 0 x 480", id="no pixels"),
        pytest.param("camera_matrix", None, "camera_matrix is None", id="no matrix"),
        pytest.param("camera_matrix", {"data": [0] * 9}, "calibrate the camera", id="zeros"),
        pytest.param("distortion_model", "bent", "distortion model 'bent'", id="model"),
        pytest.param(
            "distortion_coefficients", {"data": ["a"]}, r"data is \['a'\]", id="coefficients"
        ),
    ],
)
def test_a_calibration_that_cannot_be_is_refused_with_the_cameras_name(write, field, value, says):
    path = write(rig(), FRONT | {field: value})
    with pytest.raises(CalibrationError, match=f"camera 'front': .*{says}"):
        RigFile.load(path)
