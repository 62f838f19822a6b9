# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What belongs to the installed package: files of `config/` and `msg/`, and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

_HERE = Path(__file__).parent


def config_path(*parts: str) -> Path:
    """Return the path of a file of `config/`, such as `config_path("skeletons", "coco17.yaml")`.

    Installing puts `config/` into the Python package; in the source tree it lies beside it.
    """
    installed = _HERE / "config"
    return (installed if installed.is_dir() else _HERE.parent / "config").joinpath(*parts)


def interfaces_path() -> Path:
    """Return the folder of our message definitions: `msg/` in the source tree."""
    installed = _HERE / "interfaces"
    return installed if installed.is_dir() else _HERE.parent / "msg"


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
