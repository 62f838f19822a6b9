# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tools behind docs/tracking.md, and that page's program."""

import re
import runpy
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]


def run_tool(monkeypatch, name, *arguments):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "tools" / name), run_name="__main__")
    return end.value.code


def test_without_matplotlib_the_mend_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = run_tool(monkeypatch, "plot_smoothing.py")
    assert told.startswith("plot_smoothing needs matplotlib")
    assert "`tools/in_ros_env python3 -m pip install matplotlib`" in told


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        pytest.param("gone.avi", "gone.avi does not exist", id="no file"),
        pytest.param("a.png", "a.png is not a video", id="a picture"),
        pytest.param("a.mp4", "a.mp4 cannot be opened", id="an empty video"),
    ],
)
def test_what_is_no_video_is_told_in_one_sentence(
    monkeypatch, tmp_path, demo_weights, name, phrase
):
    for each in ("a.png", "a.mp4"):
        (tmp_path / each).write_bytes(b"")
    video = tmp_path / name
    told = run_tool(monkeypatch, "measure_tracking.py", video, "--model", demo_weights)
    assert told.startswith("measure_tracking: ")
    assert phrase in told


def test_the_documents_program_follows_people(
    capsys, monkeypatch, tmp_path, demo_weights, demo_photo
):
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    video = cv2.VideoWriter(str(tmp_path / "my_video.mp4"), codec, 10, (640, 360))
    for _ in range(3):
        video.write(cv2.resize(demo_photo("zidane.jpg"), (640, 360)))
    video.release()
    page = (ROOT / "docs" / "tracking.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(program.replace('"yolo11n-pose"', repr(str(demo_weights))), {})
    assert capsys.readouterr().out.splitlines() == [
        "0.0 s: [-1 -1]",
        "0.1 s: [1 2]",
        "0.2 s: [1 2]",
    ]
