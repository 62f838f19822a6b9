# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds raw images."""

from __future__ import annotations

import os
from pathlib import Path

from kp_pose_ros.resources import config_path

# What names its file before Fast DDS 3, that is before Kilted; and since, which warns of the other.
_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"


def large_images_profile() -> str:
    """Return the path of the profile that a process needs which publishes raw images."""
    return str(config_path("large_images.xml"))


def profile_variable() -> str:
    """Return the name of the variable in which this machine's Fast DDS looks for its profile."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    # Version 3 has renamed the package, too.
    return _VARIABLES[any(Path(prefix, "share", "fastdds").is_dir() for prefix in prefixes)]


def large_images_environment() -> dict[str, str]:
    """Return this process's environment with the profile.

    A profile, or transports, that the user has chosen stay.
    """
    if _TRANSPORTS in os.environ:  # which the profile would overrule
        return dict(os.environ)
    return {profile_variable(): large_images_profile(), **os.environ}


def use_large_images() -> None:
    """Let what this process publishes use the profile; call it before `rclpy.init`.

    A raw annotated image overruns the default shared memory, and takes the poses along: they come
    again only after Fast DDS has noticed, seconds later.
    """
    os.environ.update(large_images_environment())
