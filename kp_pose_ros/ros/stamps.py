# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time as messages have it -> nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Duration, Time


def nanoseconds(time: Time | Duration) -> int:
    """Return a Time or Duration message in nanoseconds. rclpy's own Time refuses negative ones."""
    return int(time.sec) * 10**9 + int(time.nanosec)
