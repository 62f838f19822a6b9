# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How programs start and end: their command line, and the signals that end them."""

import os
import signal
import subprocess
import sys
from time import sleep

import pytest
from node_process import PATIENCE
from peer import answered
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters

from kp_pose_ros.ros.process import ending_signals, own_arguments

PROGRAM = "kp_pose_ros.ros.bridges.wait_for_pose"
# Without a node, which most of these tests need not import.
RUN = "import sys; from kp_pose_ros.ros.process import *; sys.exit(run_node('it', 'Works.', None))"
WAITING = """
from kp_pose_ros.ros.process import Ending
ending = Ending()
print("ready", flush=True)
ending.wait()
"""


def test_two_signals_at_once_always_end_it():
    for count in range(0, 24, 2):
        process = subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE)
        with process:
            assert process.stdout.readline() == b"ready\n"
            sleep(0.0002 * count)  # before, while and after it begins to wait
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL], ids=["nohup", "a terminal"])
def test_sighup_ends_a_program_unless_nohup_started_it(handler):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        assert (signal.SIGHUP in ending_signals()) == (handler == signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)


def run(*arguments, **variables):
    environment = {name: each for name, each in {**os.environ, **variables}.items() if each}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_a_parameter_of_an_undefined_type_ends_no_program(start_program, ros_node):
    program = start_program(PROGRAM, "-r", "__ns:=/hostile")
    client = ros_node.create_client(SetParameters, "/hostile/wait_for_pose/set_parameters")
    assert client.wait_for_service(PATIENCE)
    undefined = Parameter(name="use_sim_time", value=ParameterValue(type=10))
    client.call_async(SetParameters.Request(parameters=[undefined]))
    program.wait_for_log("/set_parameters' raised ")
    known = Parameter(name="use_sim_time", value=ParameterValue(type=1))
    request = SetParameters.Request(parameters=[known])
    answer = answered(ros_node, lambda: client.call_async(request))
    ros_node.destroy_client(client)
    assert answer.results[0].successful
    assert program.stop() == 0


def test_help_is_printed_and_nothing_starts():
    done = run("-m", "kp_pose_ros.ros.pose_node", "--help")
    assert done.returncode == 0
    assert "--ros-args -p NAME:=VALUE" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        pytest.param(["-p", "model:=x"], "unrecognized arguments: -p model:=x", id="no --ros-args"),
        pytest.param(["model:=x"], "unrecognized arguments: model:=x", id="a bare remapping"),
        pytest.param(["--ros-args", "-p", "model"], "model", id="a parameter without a value"),
        pytest.param(
            ["--ros-args", "--wrong"],
            "the --ros-args are wrong: ['--wrong']",
            id="no option of ROS",
        ),
        pytest.param(
            ["--ros-args", "--params-file", "/no directory/ROS_ws/a.yaml"],
            "it: the --ros-args are wrong: failed to",
            id="no such file",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, phrase):
    done = run("-c", RUN, *arguments)
    assert done.returncode == 2
    assert phrase in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variables", "phrase"),
    [
        pytest.param(
            {"ROS_LOG_DIR": "/proc/x"}, "it: ROS has no folder for its logs; set ROS_L", id="logs"
        ),
        pytest.param({"HOME": "", "ROS_LOG_DIR": ""}, "it: ROS has no folder for its l", id="home"),
        pytest.param(
            {"ROS_DOMAIN_ID": "abc"}, "it: an environment variable is wrong: ", id="domain"
        ),
    ],
)
def test_an_environment_in_which_ros_cannot_start_is_named(variables, phrase):
    done = run("-c", RUN, **variables)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(phrase)


def test_a_wrong_type_of_rclpys_own_parameter_ends_it_with_a_sentence():
    done = run("-m", PROGRAM, "--ros-args", "-p", "use_sim_time:=yes!")
    assert done.returncode == 1
    assert "'use_sim_time' to 'yes!'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_imports_ends_at_once(number):
    code = "from kp_pose_ros.ros.process import *; import time; exit_on_signals(); print(1)"
    command = [sys.executable, "-uc", f"{code}; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("words", "own"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("a --ros-args -r b:=c", "a", id="to the end"),
        pytest.param("--ros-args -p x:=1 -- a -b", "a -b", id="to a --"),
        pytest.param("a --ros-args -- b --ros-args -r c:=d", "a b", id="twice"),
        pytest.param("-- a", "-- a", id="a -- of our own"),
        pytest.param("image:=/camera", "image:=/camera", id="a remapping elsewhere"),
    ],
)
def test_own_arguments_are_those_that_are_not_for_ros(monkeypatch, words, own):
    monkeypatch.setattr(sys, "argv", ["program", *words.split()])
    assert own_arguments() == own.split()
