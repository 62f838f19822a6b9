# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
import json
import os
from unittest import mock

import pytest
from simulator import arrivals, cameras

from kp_pose_ros.cli import main


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    records = arrivals(cameras(1, seconds=12.0), 1)
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    return path


def test_events_are_printed_a_line_each(recorded, capsys):
    assert main(["activities", str(recorded)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {event["activity"] for event in events} >= {"close_together", "standing_still"}
    assert set(events[0]) == {
        *("v", "robot", "camera", "session", "activity", "state", "track_ids"),
        *("since_ms", "until_ms", "stamp_ms", "images"),
    }


def test_a_damaged_line_is_named_and_the_rest_is_read(recorded, tmp_path, capsys, caplog):
    damaged = tmp_path / "damaged.jsonl"
    never = recorded.read_text().splitlines()[0].replace('"stamp_ms": ', '"stamp_ms": 1e999, "x": ')
    damaged.write_text(f"{{\n[]\n{never}\n{recorded.read_text()}")
    assert main(["activities", str(damaged)]) == 1
    assert len(capsys.readouterr().out.splitlines()) > 4
    assert f"line 1 of {damaged}" in caplog.text
    assert "left out 3 records" in caplog.text


def test_a_fifo_is_refused_rather_than_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "records.jsonl")
    assert main(["activities", str(tmp_path / "records.jsonl")]) == 1
    assert "it is not a regular file" in capsys.readouterr().err


def test_the_flink_job_is_printed(capsys):
    arguments = ("--flink", "--brokers", "b:1", "--poses-topic", "p", "--events-topic", "e")
    assert main(["activities", *arguments]) == 0
    sql = capsys.readouterr().out
    assert "'properties.bootstrap.servers' = 'b:1'" in sql
    assert "'topic' = 'p'" in sql
    assert "ROW('raised_hand', " in sql
    assert sql.count("CREATE TEMPORARY VIEW") >= 10


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        pytest.param(["--flink", "a.jsonl"], "RECORDS only without it", id="records for a job"),
        pytest.param(["--brokers", "b:1", "a.jsonl"], "only with it", id="brokers without a job"),
        pytest.param([], "no RECORDS are given", id="a terminal"),
    ],
)
def test_arguments_that_would_be_ignored_are_refused(arguments, phrase, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", mock.Mock(isatty=lambda: True))
    assert main(["activities", *arguments]) == 1
    assert phrase in capsys.readouterr().err


def test_standard_input_need_not_be_text(recorded, monkeypatch, capsys, caplog):
    stream = io.TextIOWrapper(io.BytesIO(b"\xff\n" + recorded.read_bytes()), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", stream)
    assert main(["activities"]) == 1
    assert len(capsys.readouterr().out.splitlines()) > 4
    assert "line 1 of the standard input: expected a JSON record" in caplog.text


def test_a_rule_that_cannot_be_read_is_named(tmp_path, capsys):
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: {up: {when: nose.y < torso.z}}")
    assert main(["activities", "--rules", str(rules)]) == 1
    error = capsys.readouterr().err
    assert "rule up: when: 'torso.z' at character 10" in error
    assert len(error.splitlines()) == 1
