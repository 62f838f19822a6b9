# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags in, bags with poses out, through the package rosbags: no ROS is needed."""
