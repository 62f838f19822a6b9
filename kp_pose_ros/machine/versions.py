# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Versions of what runs: what a report of a fault, or of a speed, is worth nothing without."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import cv2
import numpy as np


def own_version() -> str | None:
    """Return this package's version; None where it runs without having been installed."""
    try:
        return version("kp_pose_ros")
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return what is known, by name: this package, the ROS 2 distribution, Python, libraries."""
    found = {
        "kp_pose_ros": own_version(),
        "ROS 2": os.environ.get("ROS_DISTRO"),
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "OpenCV": cv2.__version__,
    }
    return {name: each for name, each in found.items() if each}
