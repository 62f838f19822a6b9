# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's data files lie."""

from pathlib import Path


def config_path(*parts: str) -> Path:
    """Return the path of a file under the package's `config` folder."""
    return Path(__file__).parent.parent.joinpath("config", *parts)
