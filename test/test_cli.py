# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kp_pose_ros import cli
from kp_pose_ros.cli import main
from kp_pose_ros.errors import FrameError, GpuLostError


class Writer:
    """What Ctrl-C interrupts, and cannot complete its file then."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        raise FrameError("it cannot be completed")


def interrupted_in_writing():
    with Writer():
        raise KeyboardInterrupt


class Command:
    """A sub-command `go` that returns, raises or calls what a test sets."""

    def __init__(self, result):
        self._result = result

    def add_parser(self, subparsers):
        subparsers.add_parser("go").set_defaults(run=self.run)

    def run(self, args):
        assert isinstance(args, argparse.Namespace)
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result() if callable(self._result) else self._result


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        pytest.param(0, 0, "", id="all went well"),
        pytest.param(3, 3, "", id="a status of its own"),
        pytest.param(FrameError("it is dark"), 1, "kp_pose: it is dark\n", id="an error"),
        pytest.param(KeyboardInterrupt(), 130, "kp_pose: interrupted\n", id="Ctrl-C"),
        pytest.param(
            interrupted_in_writing, 130, "kp_pose: interrupted\n", id="Ctrl-C, and its consequence"
        ),
    ],
)
def test_result_becomes_status_and_one_line(result, status, message, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_load_commands", lambda _: [Command(result)])
    assert main(["go"]) == status
    assert capsys.readouterr().err == message


def test_ctrl_c_while_a_command_is_imported_becomes_status_and_one_line(monkeypatch, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_load_commands", interrupt)
    assert main(["go"]) == 130
    assert capsys.readouterr().err == "kp_pose: interrupted\n"


@pytest.mark.parametrize("word", ["", "--output="])
def test_an_empty_argument_is_refused_rather_than_read_as_this_folder(word, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["info", word])
    assert f"the argument '{word}' is empty" in capsys.readouterr().err


def test_after_a_lost_gpu_nothing_is_freed(monkeypatch, capsys):
    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(cli, "_load_commands", lambda _: [Command(GpuLostError("it is lost"))])
    with pytest.raises(SystemExit, match="1"):
        main(["go"])
    assert capsys.readouterr().err == "kp_pose: it is lost\n"


@pytest.mark.parametrize("command", cli._COMMANDS)
def test_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: kp_pose {command}" in capsys.readouterr().out


@pytest.mark.parametrize("batch", ["0", f"{10**20}"])
@pytest.mark.parametrize(
    "command",
    [("bag", "in", "-o", "out"), ("build", "model"), ("export", "model")],
    ids=lambda command: command[0],
)
def test_a_batch_that_nothing_takes_is_refused(command, batch, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--max-batch", batch])
    assert caught.value.code == 2
    assert f"--max-batch: {batch} is not from 1 to 1024" in capsys.readouterr().err


@pytest.fixture
def run_into():
    """Runner of `kp_pose` with a file as output: returns the status and the errors."""

    def run(output, *arguments):
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        command = [sys.executable, "-m", "kp_pose_ros.cli", *arguments]
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, text=True, check=False, env=buffered
        )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize("option", [pytest.param("{model}", id="a table"), "--help"])
def test_closed_output_ends_it_quietly(run_into, demo_weights, option):
    reader, writer = os.pipe()
    os.close(reader)
    assert run_into(writer, "info", option.format(model=demo_weights)) == (1, "")
    os.close(writer)


def test_full_output_is_told_in_one_sentence(run_into, demo_weights):
    with Path("/dev/full").open("wb") as full:
        told = run_into(full, "info", str(demo_weights))
    assert told == (1, "kp_pose: [Errno 28] No space left on device\n")


def test_closed_streams_stop_nothing():
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    command = [*shell, sys.executable, "-m", "kp_pose_ros.cli", "activities"]
    assert subprocess.run(command, check=False).returncode == 0


def test_version_is_the_package_manifests(monkeypatch, capsys):
    monkeypatch.setattr(cli, "own_version", lambda: "1.2.3")
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == "kp_pose 1.2.3\n"
