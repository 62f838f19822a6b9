# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Starts the pose node beside a camera that plays pictures, a video or a webcam."""

from ament_index_python import get_packages_with_prefixes
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from kp_pose_ros.ros.process import large_images_environment

HAS_RVIZ = "rviz2" in get_packages_with_prefixes()


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source",
                description="Picture, video, folder of them, or number of a webcam; looped.",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="true" if HAS_RVIZ else "false",
                choices=["true", "false"],
                description="Start RViz with the annotated images. Default: true if rviz2 is "
                "installed.",
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
                additional_env=large_images_environment(),
                output="screen",
            ),
        ]
    )
