# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from echo_model import write_echo_model


@pytest.fixture
def start_demo(demo_weights, tmp_path):
    def start(*arguments, model=demo_weights):
        command = [sys.executable, "-m", "kp_pose_ros.demo", "--output", tmp_path / "out"]
        command += ["--model", model, *arguments]
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, **pipes, text=True, env=environment)

    return start


@pytest.fixture
def run_demo(start_demo):
    def run(*arguments, **options):
        with start_demo(*arguments, **options) as process:
            output, errors = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


def write_video(path, picture, count):
    """Write ten frames a second of one picture; return the path."""
    height, width = picture.shape[:2]
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), codec, 10.0, (width, height))
    for _ in range(count):
        writer.write(picture)
    writer.release()
    return path


def read_lines(folder):
    return [json.loads(line) for line in (folder / "poses.jsonl").read_text().splitlines()]


def rows(output):
    """The table's rows: image, messages, people."""
    found = re.findall(r"^[\d.]+ +(\S+) +(\d+) +(\d+) +\d+ ms ", output, re.MULTILINE)
    return [(name, int(messages), int(people)) for name, messages, people in found]


def test_photographs_and_videos_are_seen_written_and_listed(run_demo, demo_photo, bus, tmp_path):
    source, output = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    cv2.imwrite(str(source / "zidane.jpg"), demo_photo("zidane.jpg"))
    write_video(source / "bus.avi", bus, 15)
    done = run_demo("--source", source)
    assert done.returncode == 0, done.stderr
    for name, people, size in (("bus", {3, 4, 5}, (480, 640)), ("zidane", {2}, (720, 1280))):
        lines = [line for line in read_lines(output) if line["frame_id"] == name]
        assert {len(line["poses"]) for line in lines} <= people
        assert {(line["height"], line["width"]) for line in lines} == {size}
        assert len(lines[0]["poses"][0]["keypoints"]["left_wrist"]) == 3
        assert cv2.imread(str(output / f"{name}.png")).shape[:2] == size
        assert str(output / f"{name}.png") in done.stdout
        assert sum(row[1] for row in rows(done.stdout) if row[0] == name) == len(lines)
    assert "Try next" in done.stdout


def test_what_cannot_be_read_is_named_when_the_rest_was_shown(run_demo, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "dark.png"), np.zeros((64, 96, 3), np.uint8))
    (photos / "a.jpg").write_text("no picture")
    done = run_demo("--source", photos, model=write_echo_model(tmp_path / "echo.onnx"))
    assert done.returncode == 1
    assert str(tmp_path / "out" / "dark.png") in done.stdout
    assert "a.jpg cannot be decoded" in done.stderr


def test_a_stopped_demo_shows_what_came_until_then(start_demo, bus, tmp_path):
    with start_demo("--source", write_video(tmp_path / "bus.avi", bus, 300)) as demo:
        while "bus" not in demo.stdout.readline().split():
            assert demo.poll() is None
        demo.send_signal(signal.SIGTERM)
        rest, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "demo: stopped\n")
    assert str(tmp_path / "out" / "bus.png") in rest
    assert (tmp_path / "out" / "bus.png").is_file()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_demo_that_is_stopped_while_it_starts_says_only_that(start_demo, number):
    with start_demo() as demo:
        assert "Starting the node" in demo.stdout.readline()
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (130, "demo: stopped\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--source", "/nowhere"], "/nowhere does not exist", id="no source"),
        pytest.param(["--view"], "VIEW=1 needs", id="no display"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(run_demo, arguments, sentence):
    done = run_demo(*arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("demo: ")
    assert sentence in line


def test_a_node_that_cannot_start_ends_the_demo_with_its_reason(run_demo):
    done = run_demo("--source", "97", model="/nowhere/model.pt")
    assert done.returncode == 1
    assert "/nowhere/model.pt" in done.stderr
    assert "Traceback" not in done.stderr


def test_results_do_not_replace_the_pictures_that_are_shown(run_demo, tmp_path, bus):
    cv2.imwrite(str(tmp_path / "me.png"), bus)
    before = (tmp_path / "me.png").read_bytes()
    done = run_demo("--source", tmp_path, "--output", tmp_path)
    assert done.returncode == 1
    assert "where the results would replace its pictures" in done.stderr
    assert (tmp_path / "me.png").read_bytes() == before
