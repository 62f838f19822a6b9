# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts a bridge beside the pose node."""

from itertools import starmap
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import Parameter

from kp_pose_ros.settings import IMAGE_TRANSPORTS

ARGUMENTS = [
    DeclareLaunchArgument(
        "bridge",
        choices=[
            "wait_for_pose",
            "follow_target",
            "hri_bridge",
            "people",
            "annotations",
            "activities",
            "event_feed",
        ],
        description="Bridge to start: wait_for_pose and follow_target serve actions for planners, "
        "hri_bridge publishes REP-155 (ROS4HRI) bodies, people publishes people_msgs/People, "
        "annotations publishes image annotations for Foxglove, activities what people do, "
        "event_feed sends a record of each image to Kafka.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value="",
        description="YAML file with the bridge's parameters. Empty: none.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the pose node."),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="Names of the pose node's cameras, such as front,rear, for hri_bridge, "
        "activities and event_feed.",
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value="",
        description="For follow_target, and for hri_bridge with one camera: the image topic. "
        "Empty: image.",
    ),
    DeclareLaunchArgument(
        "camera_info_topic",
        default_value="",
        description="For follow_target: CameraInfo topic of the image. Empty: camera_info.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", *IMAGE_TRANSPORTS],
        description="For follow_target and hri_bridge: type of image topic, as in pose.launch.py.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Lowest severity that is logged.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", "true", "false"],
        description="Use simulated time from /clock. Empty: as in params_file.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_node)])


def _node(context: LaunchContext) -> list[Node]:
    # Arguments left empty must not override the file.
    given: dict = {}
    for name in ("cameras", "image_transport", "use_sim_time"):
        if value := LaunchConfiguration(name).perform(context):
            given[name] = value == "true" if name == "use_sim_time" else value
    params_file = LaunchConfiguration("params_file").perform(context)
    if params_file and not Path(params_file).is_file():  # launch would only warn, and leave it out
        raise FileNotFoundError(
            f"params_file is '{params_file}': expected an existing parameters file"
        )
    remappings = [
        (ours, theirs)
        for ours in ("image", "camera_info")
        if (theirs := LaunchConfiguration(f"{ours}_topic").perform(context))
    ]
    return [
        Node(
            package="kp_pose_ros",
            executable=LaunchConfiguration("bridge"),
            name=LaunchConfiguration("bridge"),
            namespace=LaunchConfiguration("namespace"),
            # Twice, as in pose.launch.py.
            parameters=[*filter(None, (params_file, given)), *starmap(Parameter, given.items())],
            remappings=remappings,
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
        )
    ]
