# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros hri_bridge`: poses as bodies of REP-155 (ROS4HRI)."""

from __future__ import annotations

import os
import sys

from kp_pose_ros.ros.process import exit_on_signals, has_package, run_node


def main() -> int:
    """Run the bridge; return the process's exit code."""
    package = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-hri-msgs"
    mend = f"apt install {package}, or build github.com/ros4hri/hri_msgs in your workspace"
    if not has_package("hri_bridge", "hri_msgs", mend):
        return 1
    exit_on_signals()
    from kp_pose_ros.ros.bridges.hri_bodies import HriBodies

    return run_node(
        "hri_bridge",
        "Publishes the people in poses as bodies of REP-155 (ROS4HRI).",
        lambda _: HriBodies(),
        finish=HriBodies.finish,
    )


if __name__ == "__main__":
    sys.exit(main())
