# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds raw images."""

from __future__ import annotations

import os

from kp_pose_ros.resources import config_path

PROFILE = "large_images.xml"
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted, Humble


def large_images_environment() -> dict[str, str]:
    """Return this process's environment, with the profile for a process that publishes images.

    A profile that the user has chosen stays.
    """
    return {**dict.fromkeys(VARIABLES, str(config_path(PROFILE))), **os.environ}
