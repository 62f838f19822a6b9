# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the process of a node starts, and the signals that ask it to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable


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
