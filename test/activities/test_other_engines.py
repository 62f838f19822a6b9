# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The robot, Flink and Spark find the same events in the same records."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from simulator import arrivals, cameras

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


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(config_path("activities.yaml").read_text() + MORE)
    return path


@pytest.fixture(scope="module")
def lines():
    """Records of two seeds: the second one's robots have other names."""
    found = []
    for seed in (1, 2):
        watched = cameras(seed)
        for record in arrivals(watched, seed):
            found.append(json.dumps({**record, "robot": f"{record['robot']}-{seed}"}) + "\n")
    return found


@pytest.fixture(scope="module")
def expected(lines, rules):
    activities = Activities(load_rules(rules))
    events = [event for line in lines for event in activities.update(json.loads(line))]
    return sorted(json.dumps(event.to_record()) for event in events)


def run(engine, *arguments):
    """Run an engine's example in its environment."""
    python = ROOT / f".venv-{engine}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make events` makes it")
    command = [python, ROOT / "examples" / "events" / f"{engine}_job.py", *map(str, arguments)]
    # Not with the libraries of ROS's environment, which this one has of its own.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": str(python)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def events_in(folder, pattern):
    paths = [path for path in folder.rglob(pattern) if path.is_file() and path.name[0] not in "._"]
    texts = [path.read_text() for path in paths if "_spark_metadata" not in path.parts]
    return sorted(json.dumps(json.loads(line)) for text in texts for line in text.splitlines())


def test_flink_finds_what_the_robot_finds(lines, expected, rules, tmp_path):
    (tmp_path / "records.jsonl").write_text("".join(lines))
    run("flink", tmp_path / "records.jsonl", tmp_path / "events", "--rules", rules)
    assert events_in(tmp_path / "events", "*") == expected


def test_spark_finds_what_the_robot_finds(lines, expected, rules, tmp_path):
    (tmp_path / "segments").mkdir()
    for number, begin in enumerate(range(0, len(lines), SEGMENT)):
        path = tmp_path / "segments" / f"{number:012}.jsonl"
        path.write_text("".join(lines[begin : begin + SEGMENT]))
        os.utime(path, (1e9 + number, 1e9 + number))
    run("spark", "--files", tmp_path / "segments", tmp_path / "events", "--rules", rules)
    assert events_in(tmp_path / "events", "part-*") == expected
