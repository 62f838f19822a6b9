# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The signals that ask a process to end."""

from __future__ import annotations

import signal
from collections.abc import Callable


def on_signals(act: Callable[[], object]) -> None:
    """Have the signals that ask a process to end call `act`; a closed terminal sends SIGHUP."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which is what nohup asks for
        numbers.append(signal.SIGHUP)
    for each in numbers:
        signal.signal(each, lambda *_: act())
