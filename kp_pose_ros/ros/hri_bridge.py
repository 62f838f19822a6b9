# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros hri_bridge`: the poses as REP-155 (ROS4HRI) has bodies."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from queue import SimpleQueue

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.signals import on_signals, start_ros

_TICK = 0.1  # seconds at most until a signal is heard


def main() -> int:
    """Run the bridge until it is told to end; return the process's exit code."""
    if find_spec("hri_msgs") is None:
        package = f"ros-{os.environ.get('ROS_DISTRO', '$ROS_DISTRO')}-hri-msgs"
        print(
            "hri_bridge: hri_msgs, the package of the messages that it publishes, was not found: "
            f"apt install {package}, or build github.com/ros4hri/hri_msgs in your workspace",
            file=sys.stderr,
        )
        return 1
    # The imports below take a second; until they are done, nothing needs tidying up.
    on_signals(lambda: os._exit(0))
    import rclpy

    told: SimpleQueue[None] = SimpleQueue()
    if not start_ros("hri_bridge", lambda: told.put(None)):
        return 2
    try:
        _run(told)
    except SettingsError as error:
        rclpy.logging.get_logger("hri_bridge").fatal(str(error))
        return 1
    finally:
        rclpy.shutdown()
    return 0


def _run(told: SimpleQueue[None]) -> None:
    from rclpy.executors import SingleThreadedExecutor

    from kp_pose_ros.ros.hri_bodies import HriBodies

    node = HriBodies()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while told.empty():
        executor.spin_once(_TICK)
    node.close()


if __name__ == "__main__":
    sys.exit(main())
