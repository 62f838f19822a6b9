# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import cv2
import pytest


@pytest.fixture
def run_demo(demo_weights, tmp_path):
    def run(*arguments, model=demo_weights):
        command = [sys.executable, "-m", "kp_pose_ros.ros.demo", "--output", tmp_path / "out"]
        command += ["--model", model, *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=150, check=False, env=environment
        )

    return run


def read_lines(folder):
    return [json.loads(line) for line in (folder / "poses.jsonl").read_text().splitlines()]


def test_photographs_are_seen_written_and_listed(run_demo, demo_photo, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    sizes = {}
    for name in ("bus", "zidane"):
        picture = demo_photo(f"{name}.jpg")
        sizes[name] = picture.shape
        cv2.imwrite(str(photos / f"{name}.jpg"), picture)
    for _ in ("first", "again over the first one's files"):
        done = run_demo("--source", photos)
        assert done.returncode == 0, done.stderr
    lines = read_lines(tmp_path / "out")
    for name, people in (("bus", 4), ("zidane", 2)):
        of_photo = [line for line in lines if line["frame_id"] == name]
        assert {len(line["poses"]) for line in of_photo} == {people}
        assert {(line["height"], line["width"]) for line in of_photo} == {sizes[name][:2]}
        assert len(of_photo[0]["poses"][0]["keypoints"]["left_wrist"]) == 3
        assert cv2.imread(str(tmp_path / "out" / f"{name}.png")).shape == sizes[name]
        assert str(tmp_path / "out" / f"{name}.png") in done.stdout
    assert "Try next" in done.stdout


def test_a_video_is_played(run_demo, bus, tmp_path):
    video = tmp_path / "bus.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 480))
    for _ in range(40):
        writer.write(bus)
    writer.release()
    done = run_demo("--source", video)
    assert done.returncode == 0, done.stderr
    assert {len(line["poses"]) for line in read_lines(tmp_path / "out")} <= {3, 4, 5}
    assert (tmp_path / "out" / "bus.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--source", "/nowhere"], "/nowhere does not exist", id="no source"),
        pytest.param(["--source", "97"], "webcam 97 cannot be opened", id="no webcam"),
        pytest.param(["--view"], "VIEW=1 needs", id="no display"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(run_demo, arguments, sentence):
    done = run_demo(*arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("demo: ")
    assert sentence in line


def test_a_node_that_cannot_start_ends_the_demo_with_its_reason(run_demo, tmp_path):
    done = run_demo("--source", tmp_path, model="/nowhere/model.pt")
    assert done.returncode == 1
    assert "/nowhere/model.pt" in done.stderr
    assert "Traceback" not in done.stderr
