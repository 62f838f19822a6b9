# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files, where `launch` is installed: a distribution has it, the wheels do not."""

import os
from operator import attrgetter
from pathlib import Path

import pytest
import rclpy
import yaml
from ament_index_python import get_packages_with_prefixes

from kp_pose_ros.ros.compat import overrides

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"


def test_the_node_starts_with_the_config_file(start_node, demo_weights):
    file = ROOT / "config" / "pose.yaml"
    start_node("--params-file", file, "-p", f"model:={demo_weights}").wait_until_ready()


def declared(name):
    """The arguments that a launch file declares, by name."""
    pytest.importorskip("launch_ros.actions")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(LAUNCH / name))
    return {each.name: each for each in description.get_launch_arguments()}


@pytest.fixture
def commands(ros_node):  # for its rclpy.init
    """Starter of a launch file: returns the commands of the processes that it starts.

    They end after a second, or when there were as many starts as were asked for.
    """
    pytest.importorskip("launch_ros.actions")
    from launch import LaunchDescription, LaunchService
    from launch.actions import (
        EmitEvent,
        GroupAction,
        IncludeLaunchDescription,
        RegisterEventHandler,
        TimerAction,
    )
    from launch.event_handlers import OnProcessStart
    from launch.events import Shutdown
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    def start(file="pose.launch.py", starts=None, before=(), keep=attrgetter("cmd"), **arguments):
        started = []
        included = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LAUNCH / file)), launch_arguments=arguments.items()
        )

        def on_start(event, _):
            started.append(keep(event))
            return EmitEvent(event=Shutdown()) if len(started) == starts else None

        note = OnProcessStart(on_start=on_start)
        end = TimerAction(
            period=60.0 if starts else 1.0,
            actions=[EmitEvent(event=Shutdown())],
            cancel_on_shutdown=True,
        )
        service = LaunchService(noninteractive=True)
        group = GroupAction([*before, included])
        service.include_launch_description(
            LaunchDescription([RegisterEventHandler(note), group, end])
        )
        service.run()
        return started

    return start


def parameters_in(command):
    """The parameters that rclpy reads from a command, by name."""
    name = Path(command[0]).name.replace("pose_node", "kp_pose")
    node = rclpy.create_node(name, cli_args=command[1:], use_global_arguments=False)
    values = {name: each.value for name, each in overrides(node).items()}
    node.destroy_node()
    return values


def test_every_argument_is_declared_and_described():
    arguments = declared("pose.launch.py")
    assert set(arguments) == {
        "model", "params_file", "namespace", "image_topic", "depth_topic", "camera_info_topic",
        "cameras", "engine", "image_transport", "imgsz", "build_only", "autostart", "respawn",
        "rviz", "fixed_frame", "log_level", "use_sim_time",
    }  # fmt: skip
    assert all(each.description for each in arguments.values())


def test_by_default_the_config_file_decides(commands):
    (command,) = commands()
    assert command[0].endswith("/pose_node")
    file = str(ROOT / "config" / "pose.yaml")
    assert parameters_in(command) == parameters_in(
        [command[0], "--ros-args", "--params-file", file]
    )


def test_arguments_override_the_config_file(commands, demo_weights):
    (command,) = commands(
        model=str(demo_weights),
        engine="onnx",
        cameras="front,rear",
        image_topic="/a/image_raw, /b/image_raw",
        namespace="robot",
        imgsz="384,640",
        build_only="true",
        use_sim_time="true",
        autostart="false",
        log_level="debug",
    )
    values = parameters_in(command)
    assert (values["model"], values["engine"]) == (str(demo_weights), "onnx")
    assert (values["cameras"], values["use_sim_time"]) == ("front,rear", True)
    assert values["imgsz"] == "384,640"
    assert (values["autostart"], values["build_only"]) == (False, True)
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


def test_the_config_file_may_name_the_cameras(commands, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("robot:\n  kp_pose:\n    ros__parameters: {cameras: [front, rear]}\n")
    (command,) = commands(params_file=str(file), namespace="robot", image_topic="/a,/b")
    assert "front/image:=/a" in command
    assert "rear/image:=/b" in command


NODE, ALL = "/robot/kp_pose", "/**"


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({ALL: ("cameras", "imgsz")}, id="one for every node"),
        pytest.param({NODE: ("cameras", "imgsz")}, id="one for the node"),
        pytest.param({ALL: (), NODE: ("cameras",)}, id="one for the node, behind"),
        pytest.param({NODE: (), ALL: ("cameras",)}, id="one for every node, behind"),
    ],
)
def test_arguments_override_every_section_of_the_config_file(commands, tmp_path, sections):
    values = {"cameras": ["a", "b"], "imgsz": 640}
    file = tmp_path / "mine.yaml"
    text = {
        key: {"ros__parameters": {"engine": "onnx", **{name: values[name] for name in names}}}
        for key, names in sections.items()
    }
    file.write_text(yaml.safe_dump(text, sort_keys=False))
    given = {"params_file": str(file), "namespace": "robot", "imgsz": "384,640"}
    (command,) = commands(**given, cameras="front", image_topic="/a")
    parameters = parameters_in(command)
    assert (parameters["cameras"], parameters["imgsz"]) == ("front", "384,640")


def test_a_file_that_includes_ours_may_set_the_cameras(commands, tmp_path):
    launch_ros = pytest.importorskip("launch_ros.actions")
    file, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    file.write_text("/**:\n  ros__parameters: {engine: onnx}\n")
    theirs.write_text("/other:\n  ros__parameters: {cameras: [a, b, c]}\n")
    before = [
        launch_ros.SetParameter("cameras", "front,rear"),
        launch_ros.SetParametersFromFile(str(theirs)),
    ]
    (command,) = commands(before=before, params_file=str(file), image_topic="/a,/b")
    assert parameters_in(command)["cameras"] == "front,rear"
    assert "rear/image:=/b" in command


SECTIONS = {
    "every node": "/**",
    "its full name": "/robot/kp_pose",
    "its name anywhere": "/**/kp_pose",
    "one namespace": "/*/kp_pose",
}


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_a_section_for_the_node_may_name_the_cameras(commands, tmp_path, section):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{section}:\n  ros__parameters: {{cameras: [front, rear]}}\n")
    (command,) = commands(params_file=str(file), namespace="/robot", image_topic="/a,/b")
    assert "rear/image:=/b" in command


@pytest.mark.parametrize(
    ("namespace", "full_name"),
    [
        pytest.param("", "/robot/kp_pose", id="nothing else"),
        pytest.param("arm", "/robot/arm/kp_pose", id="a relative namespace"),
        pytest.param("/arm", "/arm/kp_pose", id="an absolute namespace"),
    ],
)
def test_a_file_that_includes_ours_may_push_a_namespace(commands, tmp_path, namespace, full_name):
    launch_ros = pytest.importorskip("launch_ros.actions")
    file = tmp_path / "mine.yaml"
    file.write_text(f"{full_name}:\n  ros__parameters: {{cameras: [front, rear]}}\n")
    (command,) = commands(
        before=[launch_ros.PushRosNamespace("robot")],
        params_file=str(file), namespace=namespace, image_topic="/a,/b",
    )  # fmt: skip
    assert f"__ns:={full_name.removesuffix('/kp_pose')}" in command
    assert "rear/image:=/b" in command


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        pytest.param("", True, id="the file decides"),
        pytest.param("true", True, id="true"),
        pytest.param("false", False, id="false overrides the file"),
    ],
)
def test_the_config_file_may_choose_simulated_time(commands, tmp_path, argument, expected):
    file = tmp_path / "mine.yaml"
    file.write_text("/**:\n  ros__parameters: {use_sim_time: true}\n")
    for other in ({}, {"file": "bridge.launch.py", "bridge": "people"}):
        (command,) = commands(params_file=str(file), use_sim_time=argument, **other)
        assert parameters_in(command)["use_sim_time"] is expected


@pytest.mark.parametrize("section", ["kp_pose", "/kp_pose", "/other/kp_pose", "/*"])
def test_a_file_without_a_section_for_the_node_starts_nothing(commands, tmp_path, section):
    """The node would ignore it as well."""
    file = tmp_path / "mine.yaml"
    file.write_text(f"{section}:\n  ros__parameters: {{cameras: [front, rear]}}\n")
    assert commands(params_file=str(file), namespace="robot") == []


def test_a_later_section_may_go_back_to_one_camera(commands, tmp_path):
    file = tmp_path / "mine.yaml"
    cameras = {"/**": ["a"], "kp_pose": [""]}
    sections = {name: {"ros__parameters": {"cameras": each}} for name, each in cameras.items()}
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    (command,) = commands(params_file=str(file), image_topic="/camera/image_raw")
    assert "image:=/camera/image_raw" in command


def test_cameras_may_be_written_as_in_the_config_file(commands):
    (command,) = commands(cameras="[front, rear]", image_topic="/a,/b")
    assert parameters_in(command)["cameras"] == "front,rear"
    assert "rear/image:=/b" in command


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"- a\n", id="a list"),
        pytest.param(b"/**: {ros__parameters: [\n", id="no YAML"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"cameras: [front, rear]\n", id="no section"),
    ],
)
def test_a_file_that_is_none_of_parameters_is_named(commands, tmp_path, text, caplog):
    file = tmp_path / "mine.yaml"
    file.write_bytes(text)
    assert commands(params_file=str(file)) == []
    assert f"params_file '{file}' " in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"params_file": "/nowhere.yaml"}, id="no such config file"),
        pytest.param(
            {"file": "bridge.launch.py", "bridge": "people", "params_file": "/nowhere.yaml"},
            id="no such file for a bridge",
        ),
        pytest.param({"cameras": "front", "image_topic": "/a,/b"}, id="a topic too many"),
        pytest.param({"rviz": "true"}, id="RViz is not installed"),
    ],
)
def test_what_cannot_be_starts_nothing(commands, arguments):
    if "rviz" in arguments and "rviz2" in get_packages_with_prefixes():
        pytest.skip("RViz is installed")
    assert commands(**arguments) == []


def test_debug_lines_of_the_middleware_do_not_bury_the_nodes(commands):
    (command,) = commands(log_level="debug")
    levels = [command[at + 1] for at, word in enumerate(command) if word == "--log-level"]
    assert levels[0] == "debug"
    assert "rcl:=info" in levels


def test_the_demo_shows_the_arguments_of_the_node():
    assert set(declared("pose.launch.py")) < set(declared("demo.launch.py"))


def test_depth_is_on_where_its_topic_is_named(commands):
    (command,) = commands(
        image_topic="/camera/color/image_raw",
        depth_topic="/camera/aligned_depth_to_color/image_raw",
        camera_info_topic="/camera/color/camera_info",
    )
    assert parameters_in(command)["depth.enabled"] is True
    assert "depth:=/camera/aligned_depth_to_color/image_raw" in command
    assert "camera_info:=/camera/color/camera_info" in command


def test_a_node_that_ends_is_started_again_if_asked_for(commands):
    first, second = commands(model="/nowhere/model.pt", respawn="true", starts=2)
    assert first == second


@pytest.mark.parametrize("build_only", [False, True])
def test_a_node_whose_file_says_to_build_only_is_not_started_again(commands, tmp_path, build_only):
    parameters = {"build_only": build_only, "model": "/nowhere/model.pt"}
    file = tmp_path / "build.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))

    def is_respawned(event):
        return event.action._ExecuteLocal__respawn

    (found,) = commands(params_file=str(file), respawn="true", keep=is_respawned)
    assert found is not build_only


def test_the_demo_plays_a_source_beside_the_node(commands):
    node, camera = commands("demo.launch.py", source="/photos", rviz="false", namespace="robot")
    assert node[0].endswith("/pose_node")
    assert camera[0].endswith("/demo_camera")
    assert camera[1:3] == ["/photos", "--loop"]
    assert all("__ns:=/robot" in command for command in (node, camera))


def test_rviz_has_displays_for_each_camera(commands, monkeypatch, tmp_path):
    pytest.importorskip("launch_ros.actions")
    install_rviz(monkeypatch, tmp_path)
    started = commands(rviz="true", cameras="front,rear", fixed_frame="map", autostart="false")
    (rviz,) = (each for each in started if each[0].endswith("/rviz2"))
    assert rviz[3:5] == ["-f", "map"]
    displays = yaml.safe_load((tmp_path / "seen.rviz").read_text())["Visualization Manager"][
        "Displays"
    ]
    assert not Path(rviz[2]).exists()  # it is temporary
    topics = [each["Topic"]["Value"] for each in displays if "Topic" in each]
    assert topics == ["front/annotated", "front/markers", "rear/annotated", "rear/markers"]


def install_rviz(monkeypatch, prefix):
    """Put a package rviz2 where launch finds it; its program only copies its configuration."""
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/rviz2").touch()
    program = prefix / "lib/rviz2/rviz2"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\ncp "$2" "{prefix}/seen.rviz"\n')
    program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix), prepend=os.pathsep)


@pytest.mark.parametrize("bridge", ["wait_for_pose", "activities"])
def test_a_bridge_starts_beside_the_node(commands, bridge):
    (command,) = commands(
        "bridge.launch.py", bridge=bridge, namespace="robot", cameras="front,rear",
        image_topic="/camera/image_raw", image_transport="compressed", camera_info_topic="/info",
    )  # fmt: skip
    assert command[0].endswith(f"/{bridge}")
    assert {"__ns:=/robot", "image:=/camera/image_raw", "camera_info:=/info"} <= set(command)
    parameters = parameters_in(command)
    assert (parameters["cameras"], parameters["image_transport"]) == ("front,rear", "compressed")


def test_the_demo_needs_no_rviz():
    if "rviz2" in get_packages_with_prefixes():
        pytest.skip("RViz is installed")
    assert declared("demo.launch.py")["rviz"].default_value[0].text == "false"
