# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Shows how far the build of an engine is: a bar on a terminal, or lines in a log."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from typing import TextIO

# Told often while an engine is built: what TensorRT is doing, steps done and steps in all of that.
# From which thread is TensorRT's choice.
Progress = Callable[[str, int, int], None]

_log = logging.getLogger(__name__)
_BAR_WIDTH = 30
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_DRAWINGS = 0.1


class ProgressLog:
    """Writes a line every few seconds, so that a log shows that the build goes on."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take one report."""
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            seconds = now - self._started
            _log.info("building engine for %.0f s: %s, %d of %d", seconds, phase, done, total)


class ProgressBar:
    """Draws the phase and its progress on one line of a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._started = time.monotonic()
        self._last = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take one report."""
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._last = now
        filled = _BAR_WIDTH * done // total if total else 0
        bar = "#" * filled + "." * (_BAR_WIDTH - filled)
        line = f"[{bar}] {now - self._started:4.0f} s  {phase} {done}/{total}"
        columns = shutil.get_terminal_size().columns - 1
        self._terminal.write(f"\r{line[:columns]:<{columns}}")
        self._terminal.flush()

    def close(self) -> None:
        """End the line, if one was drawn."""
        if self._last:
            self._terminal.write("\n")
