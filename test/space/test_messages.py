# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import numpy as np
import pytest

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.image.message import ImageError
from kp_pose_ros.space.messages import camera_of, depth_of

METRES = np.linspace(0.5, 5, 24).reshape(4, 6)


def message(metres=METRES, encoding="16UC1", *, padding=0, is_bigendian=0, **fields):
    """An Image message, as a library other than rclpy makes it, with padded rows."""
    kind, unit = ("u2", 1000) if encoding == "16UC1" else ("f4", 1)
    values = (metres * unit).astype((">" if is_bigendian else "<") + kind)
    rows = values.view(np.uint8).reshape(len(values), -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    height, width = metres.shape
    given = {"height": height, "width": width, "encoding": encoding, "step": data.shape[1]}
    given |= {"is_bigendian": is_bigendian, "data": data.tobytes()} | fields
    return SimpleNamespace(**given)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(message(), id="millimetres"),
        pytest.param(message(encoding="32FC1"), id="metres"),
        pytest.param(message(padding=7), id="padded rows"),
        pytest.param(message(is_bigendian=1), id="big-endian millimetres"),
        pytest.param(message(encoding="32FC1", is_bigendian=1, padding=4), id="big-endian metres"),
    ],
)
def test_depths_are_those_that_the_camera_measured(found):
    wall = depth_of(found)
    unit = 1000 if found.encoding == "16UC1" else 1
    np.testing.assert_allclose(wall.values / unit, METRES, atol=1e-3)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"encoding": "bgr8"}, "encoding", id="a picture"),
        pytest.param({"encoding": "8UC1"}, "encoding", id="a depth image made for the eye"),
        pytest.param({"width": 0}, "width", id="no width"),
        pytest.param({"height": 0}, "height", id="no height"),
        pytest.param({"step": 6}, "step", id="rows of fewer bytes than pixels"),
        pytest.param({"data": b""}, "data", id="no data"),
    ],
)
def test_a_message_that_is_no_depth_image_is_refused_by_its_field(fields, field):
    with pytest.raises(ImageError) as refused:
        depth_of(message(**fields))
    assert refused.value.field == field
    assert field in str(refused.value)


def info(**fields):
    matrix = (525.0, 0, 320, 0, 525, 240, 0, 0, 1)
    given = {"height": 480, "width": 640, "distortion_model": "plumb_bob", "d": [0.0] * 5}
    given |= {"binning_x": 0, "binning_y": 0, "roi": roi(0, 0, 0, 0)}
    return SimpleNamespace(**(given | {"k": np.array(matrix)} | fields))


def roi(left, top, width, height):
    return SimpleNamespace(x_offset=left, y_offset=top, width=width, height=height)


def test_a_calibrated_camera_is_read():
    camera = camera_of(info(d=[0.1, 0, 0, 0, 0]))
    assert camera.size == (480, 640)
    assert camera.matrix[0, 0] == 525
    assert camera.coefficients[0] == 0.1


@pytest.mark.parametrize(
    ("fields", "size", "pixel"),
    [
        pytest.param({}, (480, 640), (400, 200), id="the full resolution"),
        pytest.param({"binning_x": 1, "binning_y": 1}, (480, 640), (400, 200), id="1 is none"),
        pytest.param({"binning_x": 2, "binning_y": 2}, (240, 320), (200, 100), id="binning"),
        pytest.param({"binning_x": 4}, (480, 160), (100, 200), id="binning of columns alone"),
        pytest.param({"roi": roi(40, 80, 480, 320)}, (320, 480), (360, 120), id="a region"),
        pytest.param(
            {"roi": roi(40, 80, 480, 320), "binning_x": 2, "binning_y": 2},
            (160, 240),
            (180, 60),
            id="a region, binned",
        ),
        pytest.param({"roi": roi(0, 0, 640, 480)}, (480, 640), (400, 200), id="a region of all"),
    ],
)
def test_a_ray_is_the_same_whatever_part_of_the_sensor_an_image_shows(fields, size, pixel):
    """Pixels by image_geometry's rule: centre coordinates less the offset, divided by binning."""
    d = [-0.3, 0.1, 0.001, 0.002, 0]
    camera, full = camera_of(info(d=d, **fields)), camera_of(info(d=d))
    assert camera.size == size
    ray = camera.rays(np.array(pixel) + 0.5)
    assert ray == pytest.approx(full.rays(np.array((400.5, 200.5))), abs=1e-6)


def test_a_calibration_for_images_of_another_size_is_refused():
    assert camera_of(info(binning_x=2, binning_y=2), (240, 320)).size == (240, 320)
    with pytest.raises(CalibrationError, match="for images of 320 x 240: expected 640 x 480, "):
        camera_of(info(binning_x=2, binning_y=2), (480, 640))


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        pytest.param({"k": np.zeros(9)}, "matrix K", id="an uncalibrated camera's zeros"),
        pytest.param({"k": np.full(9, np.nan)}, "matrix K", id="not a number"),
        pytest.param({"k": np.eye(3).ravel()}, "above 6.4; ", id="an identity matrix"),
        pytest.param({"k": -np.ones(9)}, "matrix K", id="negative focal lengths"),
        pytest.param({"width": 0}, "size 0 x 480", id="no size"),
        pytest.param(
            {"distortion_model": "thin_prism", "d": [0.1] * 12}, "'thin_prism'", id="unknown model"
        ),
        pytest.param(
            {"roi": roi(600, 0, 100, 480)}, "100 x 480 pixels at (600, 0)", id="a region outside"
        ),
        pytest.param({"d": [0.1]}, "distortion [0.1]", id="too few coefficients"),
    ],
)
def test_a_calibration_that_cannot_be_true_is_refused(fields, phrase):
    with pytest.raises(CalibrationError, match=r"camera_info has .*: expected .*; ") as refused:
        camera_of(info(**fields))
    assert phrase in str(refused.value)
