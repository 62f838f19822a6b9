# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints of people in camera images, for robots."""

from pkgutil import extend_path

# The generated kp_pose_ros.msg may live in another folder of the same name (a colcon overlay).
__path__ = extend_path(__path__, __name__)
