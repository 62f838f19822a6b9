# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the process of a node starts, and the signals that ask it to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

from kp_pose_ros.errors import SettingsError

if TYPE_CHECKING:
    from rclpy.node import Node

_TICK = 0.1  # seconds at most until a signal is heard


def on_signals(act: Callable[[], object]) -> None:
    """Have the signals that ask a process to end call `act`; a closed terminal sends SIGHUP."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is what nohup asks for
        numbers.append(signal.SIGHUP)
    for each in numbers:
        signal.signal(each, lambda *_: act())


def start_ros(program: str, act: Callable[[], object]) -> bool:
    """Start rclpy and have signals call `act`; return whether the --ros-args make sense.

    Args:
        program: what a complaint about them begins with.
        act: see `on_signals`; in place of rclpy's own handlers, which pull the context away from
            under whoever publishes.
    """
    import rclpy  # not above: it takes a second, in which a signal may come
    from rclpy.signals import SignalHandlerOptions

    on_signals(act)
    try:
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        return False
    return True


def run_until_told(program: str, make: Callable[[], Node]) -> int:
    """Run a node until a signal asks it to end; return the process's exit code.

    rclpy's own way, `spin` and its handlers, may sleep on after a signal (Humble), or raise.

    Args:
        program: what a complaint about --ros-args begins with.
        make: returns the node; may raise SettingsError.
    """
    # The imports below take a second; until they are done, nothing needs tidying up.
    on_signals(lambda: os._exit(0))
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    told: SimpleQueue[None] = SimpleQueue()
    if not start_ros(program, lambda: told.put(None)):
        return 2
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while told.empty():
            executor.spin_once(_TICK)
        node.destroy_node()
    except SettingsError as error:
        rclpy.logging.get_logger(program).fatal(str(error))
        return 1
    finally:
        rclpy.shutdown()
    return 0
