# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from kp_pose_ros.cli import main
from kp_pose_ros.output.drawing import Annotator, Style


@pytest.fixture
def photos(demo_photo, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("bus.jpg", "zidane.jpg"):
        cv2.imwrite(str(folder / name), demo_photo(name))
    return folder


def annotate(demo_weights, *arguments):
    return main(["annotate", "--model", str(demo_weights), *map(str, arguments)])


def records(folder):
    return [json.loads(line) for line in (folder / "poses.jsonl").read_text().splitlines()]


def test_a_folder_of_photos_becomes_pictures_and_lines(demo_weights, photos, tmp_path):
    output = tmp_path / "out"
    assert annotate(demo_weights, photos, "-o", output) == 0
    bus, zidane = records(output)
    assert (bus["frame_id"], len(bus["poses"])) == ("bus.jpg", 4)
    assert (zidane["frame_id"], len(zidane["poses"])) == ("zidane.jpg", 2)
    assert (zidane["width"], zidane["height"]) == (1280, 720)
    assert zidane["stamp_ms"] is None
    drawn = cv2.imread(str(output / "zidane.png"))
    nose = zidane["poses"][0]["keypoints"]["nose"]
    assert tuple(drawn[round(nose[1]), round(nose[0])]) == (10, 214, 255)  # the head's yellow


@pytest.fixture
def video(demo_photo, tmp_path):
    """Maker of a video of two people, ten frames a second."""

    def make(name, frames):
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(tmp_path / name), codec, 10, (640, 360))
        for _ in range(frames):
            writer.write(cv2.resize(demo_photo("zidane.jpg"), (640, 360)))
        writer.release()
        return tmp_path / name

    return make


def test_a_video_becomes_a_video_with_a_line_a_frame(demo_weights, video, tmp_path):
    assert annotate(demo_weights, video("walk.avi", frames=3), "-o", tmp_path / "out") == 0
    lines = records(tmp_path / "out")
    assert [line["stamp_ms"] for line in lines] == [0, 100, 200]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert all(len(line["poses"]) == 2 for line in lines)
    assert {person["track_id"] for person in lines[-1]["poses"]} == {1, 2}
    video = cv2.VideoCapture(str(tmp_path / "out" / "walk.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_inputs_of_one_name_do_not_overwrite_each_other(demo_weights, photos, tmp_path):
    cv2.imwrite(str(photos / "bus.png"), np.zeros((64, 64, 3), np.uint8))
    output = tmp_path / "out"
    assert annotate(demo_weights, photos, "-o", output) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "bus.png",
        "bus_2.png",
        "poses.jsonl",
        "zidane.png",
    ]


def test_what_cannot_be_read_is_named_and_counted_and_the_rest_is_done(
    demo_weights, photos, tmp_path, capsys
):
    (photos / "no.jpg").write_text("text")
    (photos / "no.mp4").write_bytes(b"")
    output = tmp_path / "out"
    assert annotate(demo_weights, photos, "-o", output) == 1
    assert [line["frame_id"] for line in records(output)] == ["bus.jpg", "zidane.jpg"]
    said = capsys.readouterr()
    assert f"kp_pose: warning: {photos / 'no.jpg'} cannot be decoded" in said.err
    assert f"kp_pose: warning: the video {photos / 'no.mp4'} cannot be opened" in said.err
    assert "6 poses in 2 frames of 4 files, 2 unreadable: see" in said.out


def test_a_video_that_breaks_off_keeps_the_frames_before(demo_weights, video, tmp_path, capsys):
    path = video("walk.avi", frames=8)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert annotate(demo_weights, path, "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "walk.avi breaks off after" in said.err
    assert 0 < len(records(tmp_path / "out")) < 8
    assert "1 unreadable" in said.out


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        pytest.param(["nothing.jpg", "-o", "out"], "does not exist", id="no such picture"),
        pytest.param(["a.png", "-o", "."], "overwritten", id="the input's own folder"),
        pytest.param(["a.png", "-o", "a.png"], "cannot be created", id="a file as folder"),
        pytest.param(["a.png", "-o", "taken"], "poses.jsonl cannot be", id="a folder in its way"),
        pytest.param(
            ["a.png", "-o", "out", "--imgsz", "100", "100"], "multiples of 32", id="an odd size"
        ),
    ],
)
def test_errors_are_one_sentence(demo_weights, arguments, phrase, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", np.zeros((64, 64, 3), np.uint8))
    Path("taken/poses.jsonl").mkdir(parents=True)
    assert annotate(demo_weights, *arguments) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert phrase in message


@pytest.mark.parametrize(
    "option",
    [
        pytest.param(["--score-threshold", "1.5"], id="a threshold above 1"),
        pytest.param(["--max-poses", "0"], id="no poses at all"),
        pytest.param(["--engine", "gpu"], id="an unknown engine"),
    ],
)
def test_values_out_of_range_are_refused_before_anything_runs(demo_weights, option):
    with pytest.raises(SystemExit) as caught:
        annotate(demo_weights, "a.png", "-o", "out", *option)
    assert caught.value.code == 2


def test_pictures_are_drawn_in_the_style_of_the_options(demo_weights, tmp_path, monkeypatch):
    styled = mock.Mock(wraps=Annotator)
    monkeypatch.setattr("kp_pose_ros.commands.annotate.Annotator", styled)
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    options = ("--imgsz", 64, 64, "--legend", "--color-by", "track")
    assert annotate(demo_weights, picture, "-o", tmp_path / "out", *options) == 0
    assert styled.call_args.args[1] == Style(legend=True, color_by="track")


def test_activities_are_written_and_noted_on_the_picture(demo_weights, video, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: {here: {when: nose.y > 0, hold: 0.2}, tailed: {when: tail.y > 0}}")
    plain, output = tmp_path / "plain", tmp_path / "out"
    source = video("walk.avi", frames=8)
    assert annotate(demo_weights, source, "-o", plain) == 0
    assert annotate(demo_weights, source, "-o", output, "--activities", rules) == 0
    events = [json.loads(line) for line in (output / "activities.jsonl").read_text().splitlines()]
    assert {(event["activity"], event["state"]) for event in events} == {("here", "START")}
    assert records(output) == records(plain)
    read = [cv2.VideoCapture(str(folder / "walk.mp4")) for folder in (plain, output)]
    frames = [[capture.read()[1] for _ in range(8)] for capture in read]
    changed = [bool((cv2.absdiff(a, b) > 60).any()) for a, b in zip(*frames, strict=True)]
    assert changed[-1]
    assert not changed[0]
