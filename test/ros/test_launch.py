# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch file, where `launch` is installed: a distribution has it, the wheels do not."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch" / "pose.launch.py"


def test_the_node_starts_with_the_config_file(start_node):
    start_node("--params-file", ROOT / "config" / "pose.yaml").wait_until_ready()


@pytest.fixture
def description():
    pytest.importorskip("launch_ros.actions")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    return get_launch_description_from_python_launch_file(str(LAUNCH))


@pytest.fixture
def commands():
    """Starter of the launch file: returns the commands of the processes that it starts."""
    pytest.importorskip("launch_ros.actions")
    from launch import LaunchDescription, LaunchService
    from launch.actions import (
        EmitEvent,
        IncludeLaunchDescription,
        RegisterEventHandler,
        TimerAction,
    )
    from launch.event_handlers import OnProcessStart
    from launch.events import Shutdown
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    def start(**arguments):
        started = []
        included = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LAUNCH)), launch_arguments=arguments.items()
        )
        note = OnProcessStart(on_start=lambda event, _: started.append(event.cmd))
        end = TimerAction(period=1.0, actions=[EmitEvent(event=Shutdown())])
        service = LaunchService(noninteractive=True)
        service.include_launch_description(
            LaunchDescription([RegisterEventHandler(note), included, end])
        )
        service.run()
        return started

    return start


def parameters_in(command):
    """What the parameter files of a command say, the last one's word being final."""
    files = [command[index + 1] for index, word in enumerate(command) if word == "--params-file"]
    values = {}
    for file in files:
        values.update(yaml.safe_load(Path(file).read_text())["/**"]["ros__parameters"])
    return values


def test_every_argument_is_declared_and_described(description):
    arguments = {each.name: each for each in description.get_launch_arguments()}
    assert set(arguments) == {
        "model", "params_file", "namespace", "image_topic", "cameras", "engine", "rviz",
        "log_level", "use_sim_time",
    }  # fmt: skip
    assert all(each.description for each in arguments.values())


def test_by_default_the_config_file_decides(commands):
    (command,) = commands()
    assert command[0].endswith("/pose_node")
    defaults = yaml.safe_load((ROOT / "config" / "pose.yaml").read_text())
    assert parameters_in(command) == {
        **defaults["/**"]["ros__parameters"],
        "use_sim_time": False,
    }


def test_arguments_override_the_config_file(commands, demo_weights):
    (command,) = commands(
        model=str(demo_weights),
        engine="onnx",
        cameras="front,rear",
        image_topic="/a/image_raw, /b/image_raw",
        namespace="robot",
        use_sim_time="true",
        log_level="debug",
    )
    values = parameters_in(command)
    assert (values["model"], values["engine"]) == (str(demo_weights), "onnx")
    assert (values["cameras"], values["use_sim_time"]) == ("front,rear", True)
    for words in (
        ["-r", "__ns:=/robot"],
        ["-r", "front/image:=/a/image_raw"],
        ["-r", "rear/image:=/b/image_raw"],
        ["--log-level", "debug"],
    ):
        assert any(command[at : at + 2] == words for at in range(len(command))), command


def test_one_image_topic_is_enough_for_one_camera(commands):
    (command,) = commands(image_topic="/camera/image_raw")
    assert "image:=/camera/image_raw" in command
