# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `/diagnostics` says while a camera is well, stops, lies and comes back."""

import platform

import numpy as np
import onnx
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from peer import image_of, values_of
from pose_graphs import constant_model

from kp_pose_ros.inference.factory import _has_bfloat16


@pytest.fixture(scope="module")
def node(start_node):
    return start_node(
        "-r",
        "__ns:=/watched",
        **{"diagnostics.warn_latency": 3600.0},
        # Three seconds apart, since diagnostics come once a second, or later.
        **{"diagnostics.warn_age": 1.0, "diagnostics.error_age": 4.0},
    ).wait_until_ready()


@pytest.fixture
def statuses(ros_node):
    """The latest status of each part, by name."""
    found = {}

    def take(message):
        found.update(
            {each.name: each for each in message.status if each.name.startswith("watched/")}
        )

    subscription = ros_node.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
    yield found
    ros_node.destroy_subscription(subscription)


def now_stamped(node, message):
    message.header.stamp = node.get_clock().now().to_msg()
    return message


def test_a_camera_that_is_well_then_stops_then_comes_back(node, peer, bus, statuses):
    camera = peer("watched").connect()

    def level_is(level, words, published=""):
        status = statuses.get("watched/kp_pose: camera")
        is_level = status and status.level == level and words in status.message
        return is_level and values_of(status)["stamp to publish (ms)"].startswith(published)

    def is_well():  # and an image was published: the first one may be in progress
        return level_is(DiagnosticStatus.OK, "images/s", published="p50 ")

    def send():
        return now_stamped(camera.node, image_of(bus))

    camera.send_until(is_well, send)
    camera.spin_until(lambda: level_is(DiagnosticStatus.WARN, "no image for"))
    camera.spin_until(lambda: level_is(DiagnosticStatus.ERROR, "no image for"))
    camera.send_until(is_well, send)

    found = values_of(statuses["watched/kp_pose: camera"])
    handled = ("processed", "dropped, a newer one arrived", "unwanted, no subscriber", "bad")
    assert 0 <= int(found["received"]) - sum(int(found[key]) for key in handled) <= 2


def test_bad_frames_are_counted_by_field(node, peer, bus, statuses):
    camera = peer("watched").connect()

    def lie():
        message = now_stamped(camera.node, image_of(bus))
        message.step = 3
        return message

    camera.send_until(
        lambda: (
            (status := statuses.get("watched/kp_pose: camera"))
            and status.level == DiagnosticStatus.WARN
            and "wrong step" in status.message
        ),
        lie,
    )
    assert int(values_of(statuses["watched/kp_pose: camera"])["bad step"]) > 0


def test_the_node_says_what_it_runs_and_how_long_it_takes(node, peer, bus, statuses):
    camera = peer("watched").connect()
    camera.ask(now_stamped(camera.node, image_of(bus)))
    camera.spin_until(
        lambda: (
            "infer (ms)" in values_of(statuses.get("watched/kp_pose: node"))
            if "watched/kp_pose: node" in statuses
            else False
        )
    )
    status = statuses["watched/kp_pose: node"]
    found = values_of(status)
    assert status.level == DiagnosticStatus.OK
    assert found["state"] == "active"
    assert found["version of Python"] == platform.python_version()
    assert ("OpenVINO" if _has_bfloat16() else "ONNX Runtime") in found["engine"]
    assert found["model"].endswith("yolo11n-pose.pt")
    milliseconds = found["infer (ms)"].replace(",", "").split()[1::2]
    assert np.all(np.diff([float(each) for each in milliseconds]) >= 0)


def test_numbers_of_the_network_that_cannot_be_true_are_counted(
    start_node, peer, bus, statuses, tmp_path
):
    raw = np.zeros((56, 126), np.float32)
    raw[:, 0] = 30
    raw[4, 0] = 1.57  # as of a model that was quantized without calibration
    raw[7::3, 0] = 1  # scores of keypoints
    onnx.save(constant_model(raw), tmp_path / "pose.onnx")
    node = start_node("-r", "__ns:=/watched/naive", model=str(tmp_path / "pose.onnx"))
    node.wait_until_ready()
    camera = peer("watched/naive").connect()

    def is_told():
        status = statuses.get("watched/naive/kp_pose: node")
        return (
            status
            and status.level == DiagnosticStatus.WARN
            and int(values_of(status).get("images with scores outside of 0 to 1", 0)) > 0
        )

    camera.send_until(is_told, lambda: now_stamped(camera.node, image_of(bus)))
    assert all(pose.score <= 1 for each in camera.received for pose in each.poses)
