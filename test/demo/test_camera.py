# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo's camera sends, and when, by a clock of the test's own."""

import argparse
import subprocess
import sys

import numpy as np
import pytest

from kp_pose_ros.demo import camera as camera_module
from kp_pose_ros.demo.camera import DemoCamera
from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.image.files import write_picture


class Clock:
    """Time that passes only in `wait`."""

    now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


@pytest.fixture
def play(ros_node, monkeypatch):  # for its rclpy.init
    """Player of frames at 30 Hz: returns the number and the time, in frames, of each one sent."""

    def play_frames(count, decode, publish):
        clock, sent = Clock(), []

        def send(_name, frame):
            sent.append((frame, round((clock.now - Clock.now) * 30, 3)))
            clock.wait(publish / 30)

        def frames():
            for index in range(count):
                yield index
                clock.wait(decode / 30)

        monkeypatch.setattr(camera_module, "monotonic", clock)
        camera = DemoCamera(ending=None)
        monkeypatch.setattr(camera, "_spin_once", clock.wait)
        monkeypatch.setattr(camera, "send", send)
        camera.play("video", frames(), 30.0)
        camera._node.destroy_node()
        return sent

    return play_frames


def test_frames_are_sent_when_they_are_due(play):
    assert play(4, decode=0.1, publish=0.2) == [(0, 0.0), (1, 1.1), (2, 2.1), (3, 3.1)]


def test_frames_whose_next_one_is_due_are_left_out_so_that_the_video_keeps_its_rate(play):
    sent = play(60, decode=0.1, publish=2.5)
    assert [frame for frame, _ in sent[:4]] == [0, 2, 5, 8]
    assert all(frame <= time <= frame + 1 for frame, time in sent)


def test_video_that_is_decoded_too_slowly_is_still_seen(play):
    sent = play(10, decode=4.0, publish=0.5)
    assert [frame for frame, _ in sent] == list(range(10))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        pytest.param(".", "a.jpg cannot be decoded", id="no picture"),
        pytest.param("97", "webcam 97 cannot be opened", id="no webcam"),
        pytest.param("\udcff.jpg", "demo_camera: an argument is not UTF-8", id="a name for no ROS"),
    ],
)
def test_loop_over_nothing_that_can_be_sent_ends(tmp_path, source, sentence):
    (tmp_path / "a.jpg").write_text("no picture")
    command = [sys.executable, "-m", "kp_pose_ros.demo.camera", "--loop", source]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    *_, line = done.stderr.splitlines()  # the first ones may be OpenCV's
    assert sentence in line


def test_a_node_that_does_not_answer_ends_the_camera(ros_node, monkeypatch):
    clock, camera = Clock(), DemoCamera(ending=None)
    monkeypatch.setattr(camera_module, "monotonic", clock)
    monkeypatch.setattr(camera, "play", lambda *_: clock.wait(10))
    with pytest.raises(KpPoseError, match="published 0 results for bus in 60 s: expected 5"):
        camera.show("bus", np.zeros((6, 8, 3), np.uint8), 5)
    camera._node.destroy_node()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["a.jpg", "--answers", "-3"], "--answers is -3: expected 1 or more", id="-3"),
        pytest.param(["a.jpg", "--answers", "0"], "--answers is 0: expected 1 or more", id="none"),
        pytest.param([""], "source is empty", id="no source"),
    ],
)
def test_arguments_with_which_nothing_would_be_sent_are_refused(
    arguments, sentence, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["demo_camera", *arguments])
    with pytest.raises(SystemExit, match="2"):
        camera_module.main()
    assert sentence in capsys.readouterr().err


def test_pictures_whose_names_are_no_text_get_a_frame_id(ros_node, tmp_path, monkeypatch):
    write_picture(tmp_path / "b\udcff.png", np.zeros((6, 8, 3), np.uint8))
    camera, sent = DemoCamera(ending=None), []
    monkeypatch.setattr(camera, "play", lambda name, *_: sent.append(name))
    arguments = argparse.Namespace(source=str(tmp_path), answers=None)
    assert camera_module._send_all(camera, arguments) == 0
    camera._node.destroy_node()
    assert sent == [r"b\udcff"]
