# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts a bridge beside the pose node."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from kp_pose_ros.settings import IMAGE_TRANSPORTS

ARGUMENTS = [
    DeclareLaunchArgument(
        "bridge",
        choices=["wait_for_pose", "follow_target", "hri_bridge", "people", "annotations"],
        description="Bridge to start: wait_for_pose and follow_target serve actions for planners, "
        "hri_bridge publishes REP-155 (ROS4HRI) bodies, people publishes people_msgs/People, "
        "annotations publishes image annotations for Foxglove.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the pose node."),
    DeclareLaunchArgument(
        "cameras",
        default_value="",
        description="For hri_bridge: names of the pose node's cameras, such as front,rear.",
    ),
    DeclareLaunchArgument(
        "image_topic",
        default_value="",
        description="For follow_target, and for hri_bridge with one camera: the image topic. "
        "Empty: image.",
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
        default_value="false",
        choices=["true", "false"],
        description="Use simulated time from /clock.",
    ),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_node)])


def _node(context: LaunchContext) -> list[Node]:
    parameters: dict = {
        "use_sim_time": LaunchConfiguration("use_sim_time").perform(context) == "true"
    }
    for name in ("cameras", "image_transport"):
        if value := LaunchConfiguration(name).perform(context):
            parameters[name] = value
    image_topic = LaunchConfiguration("image_topic").perform(context)
    return [
        Node(
            package="kp_pose_ros",
            executable=LaunchConfiguration("bridge"),
            namespace=LaunchConfiguration("namespace"),
            parameters=[parameters],
            remappings=[("image", image_topic)] if image_topic else [],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            output="screen",
        )
    ]
