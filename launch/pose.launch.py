# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the pose node; `ros2 launch kp_pose_ros pose.launch.py --show-args` lists arguments."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare("kp_pose_ros"), "config"])

ARGUMENTS = [
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([CONFIG, "pose.yaml"]),
        description="YAML file with the node's parameters.",
    ),
    DeclareLaunchArgument(
        "model",
        default_value="",
        description="Path of the model, .pt or .onnx. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "engine",
        default_value="",
        choices=["", "auto", "tensorrt", "onnx"],
        description="What runs the model. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="Names of the cameras, such as front,rear. Empty: as params_file says.",
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value="",
        description="Image topic to read; with `cameras` one for each of them, comma-separated. "
        "Empty: `image`, or `<camera>/image`.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node."),
    DeclareLaunchArgument(
        "rviz",
        default_value="false",
        choices=["true", "false"],
        description="Whether to start RViz with the annotated image.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="What the node logs.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="false",
        choices=["true", "false"],
        description="Whether the node's clock follows /clock.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[Node]:
    # Arguments left empty must not override the file: that cannot be said with substitutions.
    given = {
        name: value
        for name in ("model", "engine", "cameras")
        if (value := LaunchConfiguration(name).perform(context))
    }
    cameras = _split(given.get("cameras", ""))
    topics = _split(LaunchConfiguration("image_topic").perform(context))
    images = [f"{camera}/image" for camera in cameras] or ["image"]
    if topics and len(topics) != len(images):
        raise ValueError(
            f"image_topic names {len(topics)} topics: expected {len(images)}, one for each camera"
        )
    namespace = LaunchConfiguration("namespace")
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    return [
        Node(
            package="kp_pose_ros",
            executable="pose_node",
            namespace=namespace,
            parameters=[
                LaunchConfiguration("params_file"),
                {**given, "use_sim_time": use_sim_time},
            ],
            remappings=list(zip(images, topics, strict=False)),
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
            emulate_tty=True,
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=namespace,
            arguments=["-d", PathJoinSubstitution([CONFIG, "pose.rviz"])],
            parameters=[{"use_sim_time": use_sim_time}],
            remappings=[("annotated", f"{cameras[0]}/annotated")] if cameras else [],
            condition=IfCondition(LaunchConfiguration("rviz")),
        ),
    ]


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
