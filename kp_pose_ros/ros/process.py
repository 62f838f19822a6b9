# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros pose_node`: the node as a process that starts and ends cleanly."""

from __future__ import annotations

import os
import sys
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.ros.signals import on_signals, start_ros

if TYPE_CHECKING:
    from rclpy.executors import Executor

_PATIENCE = 1.0  # seconds that the engine has to finish what it is doing

# What ended the node; None for a signal.
Ends = SimpleQueue["BaseException | None"]


def main() -> int:
    """Run the node until it is told to end, or cannot go on; return the process's exit code."""
    # The imports below take a second; until they are done, nothing needs tidying up.
    on_signals(lambda: os._exit(0))
    import rclpy

    from kp_pose_ros.ros.large_images import use_large_images

    use_large_images()
    ends: Ends = SimpleQueue()
    if not start_ros("pose_node", lambda: ends.put(None)):
        return 2
    try:
        idle = _run(ends)
        code = 0
    except KpPoseError as error:
        rclpy.logging.get_logger("kp_pose").fatal(str(error))
        idle, code = True, 1
    rclpy.shutdown()
    if not idle:
        # A thread inside a library's call cannot be stopped, only left behind; and Python's own
        # end may hang if one is.
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(ends: Ends) -> bool:
    """Run the node until `ends` has something; return whether its threads have ended, too.

    Raises:
        BaseException: what `ends` had, unless it was None.
    """
    from rclpy.executors import SingleThreadedExecutor

    from kp_pose_ros.image.memory import keep_image_memory
    from kp_pose_ros.ros.pose_node import PoseNode
    from kp_pose_ros.ros.reception import receive_first

    keep_image_memory()
    executor = SingleThreadedExecutor()
    node = PoseNode(on_failure=ends.put, on_built=lambda: ends.put(None))
    receive_first()
    executor.add_node(node)
    # In a thread, because this one has to hear signals: it cannot inside of rclpy's wait.
    spinner = Thread(target=_spin, args=(executor, ends), name="executor", daemon=True)
    spinner.start()
    try:
        error = ends.get()
    finally:
        executor.shutdown(_PATIENCE)
        spinner.join(_PATIENCE)
        idle = node.close(_PATIENCE) and not spinner.is_alive()
        node.destroy_node()
    if error is not None:
        raise error
    return idle


def _spin(executor: Executor, ends: Ends) -> None:
    try:
        executor.spin()
    except BaseException as error:  # nobody else would hear of it
        ends.put(error)


if __name__ == "__main__":
    sys.exit(main())
