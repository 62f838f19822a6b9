# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the files of `config/` and `msg/` are, in the source tree and installed."""

from pathlib import Path

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
