# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds raw images."""

from __future__ import annotations

import os

from kp_pose_ros.resources import config_path

# Its name since Fast DDS 3, that is since Kilted; and the one before.
VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def large_images_profile() -> str:
    """Return the path of the profile that a process needs which publishes raw images."""
    return str(config_path("large_images.xml"))


def large_images_environment() -> dict[str, str]:
    """Return this process's environment with the profile; one that the user has chosen stays."""
    return {**dict.fromkeys(VARIABLES, large_images_profile()), **os.environ}
