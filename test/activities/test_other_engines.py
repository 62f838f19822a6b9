# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot, Flink and Spark find the same events in the same records."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from photo_scenes import SEEN, write_scenes
from recording import drive, record
from simulator import arrivals, cameras

from kp_pose_ros import cli
from kp_pose_ros.activities.engine import Activities
from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.resources import config_path

ROOT = Path(__file__).parent.parent.parent
SEGMENT = 1000  # records a file

pytestmark = pytest.mark.events

# Every function and operator of the language, beside the shipped rules.
MORE = """
  bent: {when: "angle(shoulders, hips, knees) < 120 and not lying", hold: 1}
  away: {when: "distance_m(hips, nose) > 1 or hips.x / torso > 3 * (4 - 1) - 2 / 1", hold: 0.5}
  quick: {when: "speed_m(hips) > 0.1 or abs(velocity(hips).y) / torso > 0.4 or -1 >= 0", hold: 1}
"""

# What the recordings' Parquet has, in the environment that has pyspark.
READ = """
import json, sys
from pyspark.sql import SparkSession
rows = SparkSession.builder.getOrCreate().read.parquet(sys.argv[1]).orderBy("recording", "seq")
fields = rows.selectExpr("recording", "camera", "poses[0].keypoints['nose'][2]")
print(json.dumps([[*row] for row in fields.collect()]))
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(config_path("activities.yaml").read_text() + MORE)
    return path


@pytest.fixture(scope="module")
def simulated():
    """Records of two seeds: the second one's robots have other names."""
    found = []
    for seed in (1, 2):
        watched = cameras(seed)
        for each in arrivals(watched, seed):
            found.append(json.dumps({**each, "robot": f"{each['robot']}-{seed}"}) + "\n")
    return found


@pytest.fixture(scope="module")
def photographed(tmp_path_factory, demo_photo, demo_weights):
    """Records of the videos made of photographs, written by `kp_pose annotate`."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder / "videos", demo_photo("bus.jpg"), demo_photo("zidane.jpg"))
    words = [*(folder / "videos").iterdir(), "--output", folder, "--model", demo_weights]
    assert cli.main(["annotate", *map(str, words)]) == 0
    return (folder / "poses.jsonl").read_text().splitlines(keepends=True)


@pytest.fixture(scope="module", params=["simulated", "photographed"])
def lines(request):
    return request.getfixturevalue(request.param)


def events_of(lines, rules):
    activities = Activities(load_rules(rules))
    return [event for line in lines for event in activities.update(json.loads(line))]


@pytest.fixture(scope="module")
def expected(lines, rules):
    return sorted(json.dumps(event.to_record()) for event in events_of(lines, rules))


def test_the_robot_finds_what_a_person_sees_in_videos_of_photographs(photographed):
    found = {}
    for event in events_of(photographed, config_path("activities.yaml")):
        end = event.until_ms / 1000 if event.is_end else None
        key = event.camera, event.activity, tuple(event.track_ids), event.since_ms
        found[key] = (event.camera, event.activity, event.since_ms / 1000, end)
    assert len(found) == len(SEEN)
    for event, seen in zip(sorted(found.values(), key=str), sorted(SEEN, key=str), strict=True):
        assert event[:2] == seen[:2]
        assert event[2] == pytest.approx(seen[2], abs=0.5)
        assert event[3] == (None if seen[3] is None else pytest.approx(seen[3], abs=0.5))


def run(engine, *arguments, code=0):
    """Run one of the examples in an engine's environment; return what it printed."""
    python = ROOT / f".venv-{engine}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make events` makes it")
    # Without the libraries of the ROS environment: this one has its own.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": str(python)}
    done = subprocess.run(
        [python, *map(str, arguments)],
        env=environment,
        cwd=ROOT / "examples" / "events",
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout + done.stderr


def events_in(folder, pattern):
    paths = [path for path in folder.rglob(pattern) if path.is_file() and path.name[0] not in "._"]
    texts = [path.read_text() for path in paths if "_spark_metadata" not in path.parts]
    return sorted(json.dumps(json.loads(line)) for text in texts for line in text.splitlines())


def test_flink_finds_what_the_robot_finds(lines, expected, rules, tmp_path):
    (tmp_path / "records.jsonl").write_text("".join(lines))
    run("flink", "flink_job.py", tmp_path / "records.jsonl", tmp_path / "events", "--rules", rules)
    assert events_in(tmp_path / "events", "*") == expected


def test_spark_finds_what_the_robot_finds(lines, expected, rules, tmp_path):
    (tmp_path / "segments").mkdir()
    for number, begin in enumerate(range(0, len(lines), SEGMENT)):
        path = tmp_path / "segments" / f"{number:012}.jsonl"
        path.write_text("".join(lines[begin : begin + SEGMENT]))
        os.utime(path, (1e9 + number, 1e9 + number))
    run(
        "spark",
        "spark_job.py",
        "--files",
        tmp_path / "segments",
        tmp_path / "events",
        "--rules",
        rules,
    )
    assert events_in(tmp_path / "events", "part-*") == expected


@pytest.fixture
def recordings(tmp_path, demo_photo):
    """A folder with a bag, a video, and a file that is neither."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    small = cv2.resize(demo_photo("bus.jpg"), (320, 240))
    record(folder / "drive", drive([small] * 4))
    writer = cv2.VideoWriter(
        str(folder / "street.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240)
    )
    for _ in range(5):
        writer.write(small)
    writer.release()
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_recordings_become_parquet_and_a_job_that_was_stopped_goes_on(
    recordings, demo_weights, tmp_path
):
    out = tmp_path / "out"
    # The command runs in the environment of ROS, as it does on a machine of its own.
    names = "PYTHONPATH", "LD_LIBRARY_PATH"
    ros = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    command = shlex.join(["env", *ros, sys.executable, "-m", "kp_pose_ros.cli"])
    options = ("--kp-pose", command, "--model", demo_weights)
    job = ("spark", "spark_recordings.py", recordings, out, *options)
    problems = run(*job, code=1)
    assert f"{recordings}/broken.mp4: kp_pose" in problems
    rows = json.loads(run("spark", "-c", READ, out / "poses").splitlines()[0])
    assert [row[:2] for row in rows] == [["drive", "/front/image_raw"]] * 4 + [
        ["street.mp4", "street"]
    ] * 5
    assert all(score > 0.5 for *_, score in rows)
    (recordings / "broken.mp4").unlink()
    assert "2 recordings, 2 of them done already" in run(*job)
