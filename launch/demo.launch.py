# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the pose node beside a camera that plays pictures, a video or a webcam."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

# Raw images fit into the shared memory of this profile. Two names: Kilted's, and Humble's.
PROFILE = PathJoinSubstitution([FindPackageShare("kp_pose_ros"), "config", "large_images.xml"])
ENVIRONMENT = {
    "FASTDDS_DEFAULT_PROFILES_FILE": PROFILE,
    "FASTRTPS_DEFAULT_PROFILES_FILE": PROFILE,
}


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source",
                description="Picture, video, folder of them, or number of a webcam; played again "
                "and again.",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="true",
                choices=["true", "false"],
                description="Whether to start RViz, which shows what the node sees.",
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    PathJoinSubstitution(
                        [FindPackageShare("kp_pose_ros"), "launch", "pose.launch.py"]
                    )
                )
            ),
            Node(
                package="kp_pose_ros",
                executable="demo_camera",
                namespace=LaunchConfiguration("namespace"),
                arguments=[LaunchConfiguration("source"), "--loop"],
                additional_env=ENVIRONMENT,
                output="screen",
            ),
        ]
    )
