# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the pose node; `ros2 launch kp_pose_ros pose.launch.py --show-args` lists arguments."""

import re
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml
from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import Parameter
from launch_ros.substitutions import FindPackageShare

from kp_pose_ros.settings import ENGINES, IMAGE_TRANSPORTS

CONFIG = PathJoinSubstitution([FindPackageShare("kp_pose_ros"), "config"])
NODE = "kp_pose"
RESPAWN_DELAY = 2.0  # seconds
# Their debug lines would bury the node's own.
NOISY_LOGGERS = ("rcl", "rmw_cyclonedds_cpp", "rmw_fastrtps_cpp")

BOOLEAN = ["true", "false"]
# What overrides params_file where it is given: description and choices by parameter.
OVERRIDES = {
    "model": ("Path of the model, or name of a fetched model.", ()),
    "engine": ("Inference engine.", ENGINES),
    "imgsz": ("Height and width of the network's input, such as 384,640.", ()),
    "build_only": ("Build the engine for imgsz, log its path, and exit.", BOOLEAN),
    "cameras": ("Names of the cameras, such as front,rear.", ()),
    "image_transport": (
        "Type of image topic; compressed reads image_topic/compressed. The ending of image_topic "
        "takes precedence.",
        IMAGE_TRANSPORTS,
    ),
    "autostart": (
        "Configure and activate the node at startup; false leaves that to a lifecycle manager.",
        BOOLEAN,
    ),
    "use_sim_time": ("Use simulated time from /clock.", BOOLEAN),
}
ARGUMENTS = [
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([CONFIG, "pose.yaml"]),
        description="YAML file with the node's parameters.",
    ),
    *(
        DeclareLaunchArgument(
            name,
            default_value="",
            choices=["", *choices] if choices else None,
            description=f"{about} Empty: as in params_file.",
        )
        for name, (about, choices) in OVERRIDES.items()
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value="",
        description="Image topic; with `cameras`, one per camera, comma-separated. "
        "Empty: `image`, or `<camera>/image`.",
    ),
    DeclareLaunchArgument(
        "depth_topic",
        default_value="",
        description="Depth image topic, registered to the image; with `cameras`, one per camera. "
        "Adds 3D positions to the keypoints. Empty: as in params_file.",
    ),
    DeclareLaunchArgument(
        "camera_info_topic",
        default_value="",
        description="CameraInfo topic of the image, for depth and coverage; with `cameras`, one "
        "per camera. Empty: `camera_info`, or `<camera>/camera_info`.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
    DeclareLaunchArgument(
        "respawn",
        default_value="false",
        choices=BOOLEAN,
        description="Restart the node whenever it exits.",
    ),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=BOOLEAN,
        description="Start RViz with annotated images, people in 3D and TF.",
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value="base_link",
        description="RViz's fixed frame; without a robot, use the camera's frame.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Lowest severity that is logged.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Action]:
    # Arguments left empty must not override the file, which substitutions cannot express.
    given: dict[str, str | bool] = {}
    for name, (_, choices) in OVERRIDES.items():
        if value := LaunchConfiguration(name).perform(context):
            given[name] = value == "true" if choices is BOOLEAN else value
    params_file = Path(LaunchConfiguration("params_file").perform(context))
    if not params_file.is_file():
        raise FileNotFoundError(
            f"params_file is '{params_file}': expected an existing parameters file"
        )
    settings = {**_settings(params_file, context), **given}
    cameras = _cameras(settings.get("cameras") or "")
    if "cameras" in given:
        given["cameras"] = ",".join(cameras)
    remappings = [
        remapping
        for topic in ("image", "depth", "camera_info")
        for remapping in _remappings(topic, cameras, context)
    ]
    if LaunchConfiguration("depth_topic").perform(context):
        given["depth.enabled"] = True
    node = Node(
        package="kp_pose_ros",
        executable="pose_node",
        name=NODE,
        namespace=LaunchConfiguration("namespace"),
        # Twice: for this node by its name and for /**, since the file may have both, in any order.
        parameters=[str(params_file), *filter(None, [given]), *starmap(Parameter, given.items())],
        remappings=remappings,
        ros_arguments=_log_levels(LaunchConfiguration("log_level").perform(context)),
        output="screen",
        emulate_tty=True,
        respawn=_is_true("respawn", context) and not settings.get("build_only"),
        respawn_delay=RESPAWN_DELAY,
    )
    # RViz first: if it is not installed, nothing starts, rather than a node that is left running.
    if not _is_true("rviz", context):
        return [node]
    clock = {"use_sim_time": bool(settings.get("use_sim_time"))}
    return [*_rviz(context, cameras, clock), node]


def _node_name(context: LaunchContext) -> str:
    """Return the node's full name; a launch file that includes this one may push a namespace."""
    namespace = LaunchConfiguration("namespace").perform(context)
    pushed = context.launch_configurations.get("ros_namespace", "")
    whole = namespace if namespace.startswith("/") else f"{pushed}/{namespace}"
    return "/".join(["", *filter(None, whole.split("/")), NODE])


def _settings(params_file: Path, context: LaunchContext) -> dict:
    """Return the parameters that the node gets from other launch files, and from its own file."""
    name = _node_name(context)
    settings: dict = {}
    # SetParameter leaves pairs, SetParametersFromFile paths of files for any nodes.
    for each in context.launch_configurations.get("global_params", ()):
        pairs = [each] if isinstance(each, tuple) else _parameters_in(_sections(Path(each)), name)
        settings.update(pairs)
    sections = _sections(params_file)
    if sections and not any(_matches(path, name) for path, _ in sections):
        raise ValueError(
            f"params_file '{params_file}' has parameters for "
            f"{', '.join(path for path, _ in sections)} and none for the node '{name}': expected a "
            f"section '{name}' or '/**'"
        )
    settings.update(_parameters_in(sections, name))
    return settings


def _sections(params_file: Path) -> list[tuple[str, dict]]:
    """Return the sections of a parameters file: which nodes they are for, and the parameters."""

    def sections(nodes: object, path: str) -> Iterator[tuple[str, dict]]:
        for key, value in nodes.items() if isinstance(nodes, dict) else ():
            if key == "ros__parameters":
                yield path, value if isinstance(value, dict) else {}
            else:
                yield from sections(value, f"{path}/{str(key).strip('/')}")

    try:
        nodes = yaml.safe_load(params_file.read_text("utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"params_file '{params_file}' is no YAML: {error}") from error
    found = list(sections(nodes, ""))
    if nodes and not found:
        raise ValueError(f"params_file '{params_file}' has no section with ros__parameters")
    return found


def _parameters_in(sections: list[tuple[str, dict]], name: str) -> Iterator[tuple[str, object]]:
    """Yield the parameters in the sections that count for the node.

    The keys of such a section, joined by slashes, are the node's full name, in which * stands for
    one part and ** for any number of them.
    """
    return (each for path, ours in sections if _matches(path, name) for each in ours.items())


def _cameras(given: object) -> list[str]:
    """Return the names of the cameras; none for one without a name."""
    return [*filter(None, given)] if isinstance(given, list | tuple) else _split(str(given))


def _matches(pattern: str, name: str) -> bool:
    parts = {"**": "(/[^/]+)*", "*": "/[^/]+"}
    regex = "".join(parts.get(each, "/" + re.escape(each)) for each in pattern.split("/")[1:])
    return re.fullmatch(regex, name) is not None


def _log_levels(level: str) -> list[str]:
    quiet = [f"{each}:=info" for each in NOISY_LOGGERS] if level == "debug" else []
    return [word for each in (level, *quiet) for word in ("--log-level", each)]


def _remappings(topic: str, cameras: list[str], context: LaunchContext) -> list[tuple[str, str]]:
    """Return the remappings of `topic`, or of `<camera>/topic` for each camera."""
    ours = [f"{camera}/{topic}" for camera in cameras] or [topic]
    theirs = _split(LaunchConfiguration(f"{topic}_topic").perform(context))
    if theirs and len(theirs) != len(ours):
        raise ValueError(
            f"{topic}_topic is '{','.join(theirs)}': expected as many topics as there are cameras, "
            f"{len(ours)}"
        )
    return list(zip(ours, theirs, strict=False))


def _rviz(context: LaunchContext, cameras: list[str], clock: dict) -> list[Action]:
    """Return RViz with displays for each camera, and what deletes its temporary configuration."""
    path = Path(PathJoinSubstitution([CONFIG, "pose.rviz"]).perform(context))
    cleanup: list[Action] = []
    if cameras:
        with NamedTemporaryFile("w", prefix="pose_", suffix=".rviz", delete=False) as file:
            yaml.safe_dump(_displays(yaml.safe_load(path.read_text()), cameras), file)
        path = Path(file.name)
        end = OnShutdown(on_shutdown=lambda *_: path.unlink(missing_ok=True))
        cleanup = [RegisterEventHandler(end)]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(path), "-f", LaunchConfiguration("fixed_frame")],
        parameters=[clock],
    )
    return [*cleanup, rviz]


def _displays(config: dict, cameras: list[str]) -> dict:
    """Return RViz's configuration with the displays of one camera repeated for each of several."""
    displays = config["Visualization Manager"]["Displays"]
    ours = [each for each in displays if "Topic" in each]
    config["Visualization Manager"]["Displays"] = [
        *(each for each in displays if each not in ours),
        *(_of_camera(display, camera) for camera in cameras for display in ours),
    ]
    return config


def _of_camera(display: dict, camera: str) -> dict:
    topic = {**display["Topic"], "Value": f"{camera}/{display['Topic']['Value']}"}
    return {**display, "Name": f"{display['Name']} {camera}", "Topic": topic}


def _is_true(name: str, context: LaunchContext) -> bool:
    return LaunchConfiguration(name).perform(context) == "true"


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.strip("[]").split(",") if name.strip()]
