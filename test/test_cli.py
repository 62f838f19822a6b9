# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import subprocess
import sys

import pytest

from kp_pose_ros import cli
from kp_pose_ros.cli import main
from kp_pose_ros.errors import FrameError


class Command:
    """A sub-command `go` that returns or raises what it is told to."""

    def __init__(self, result):
        self._result = result

    def add_parser(self, subparsers):
        subparsers.add_parser("go").set_defaults(run=self.run)

    def run(self, args):
        assert isinstance(args, argparse.Namespace)
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        pytest.param(0, 0, "", id="all went well"),
        pytest.param(3, 3, "", id="a status of its own"),
        pytest.param(FrameError("it is dark"), 1, "kp_pose: it is dark\n", id="an error"),
        pytest.param(KeyboardInterrupt(), 130, "kp_pose: interrupted\n", id="Ctrl-C"),
    ],
)
def test_result_becomes_status_and_one_line(result, status, message, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_COMMANDS", (Command(result),))
    assert main(["go"]) == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("command", [pytest.param(c, id=c) for c in ("export", "fetch", "info")])
def test_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: kp_pose {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(["info", "{model}"], id="a table"), pytest.param(["--help"], id="help")],
)
def test_closed_output_ends_it_quietly(demo_weights, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kp_pose_ros.cli"]
    command += [each.format(model=demo_weights) for each in arguments]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    result = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=buffered
    )
    os.close(writer)
    assert result.stderr == ""


def test_version_is_the_package_manifests(monkeypatch, capsys):
    monkeypatch.setattr(cli, "version", {"kp_pose_ros": "1.2.3"}.__getitem__)
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "kp_pose 1.2.3\n"


def test_missing_model_is_one_sentence_without_a_traceback():
    command = [sys.executable, "-m", "kp_pose_ros.cli", "info", "gone.onnx"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("kp_pose: the model file gone.onnx does not")
    assert "Traceback" not in result.stderr
