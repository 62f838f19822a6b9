# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Progress of an engine build: a bar on a terminal, or lines in a log and a status."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

from tqdm import tqdm

_log = logging.getLogger(__name__)
_SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Receives the progress of an engine build; this base class ignores it."""

    def begin(self) -> None:
        """Called when a build starts."""

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Report how many steps of a phase are done; called often, and from any thread.

        `total` is 0 where nobody knows how many there are.
        """

    def end(self) -> None:
        """Called when the build has ended, successfully or not."""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Report in the body that another process is building, and that this one waits for it."""
        self.begin()
        try:
            self("waiting for another process", 0, 0)
            yield
        finally:
            self.end()


QUIET = Progress()


class ProgressLog(Progress):
    """Writes a line every few seconds, so that a log shows that the build is running."""

    def __init__(self) -> None:
        self._started: float | None = None  # when the current build began
        self._last = 0.0
        self._phase = ""

    @property
    def status(self) -> str:
        """What is being built, for any thread; empty if nothing is."""
        started = self._started
        if started is None:
            return ""
        return f"building engine for {time.monotonic() - started:.0f} s{self._phase}"

    def begin(self) -> None:
        """Start counting."""
        self._phase = ""
        self._started = self._last = time.monotonic()

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Take one report."""
        self._phase = f": {phase}" + (f", {done} of {total}" if total else "")
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            _log.info("%s", self.status)

    def end(self) -> None:
        """Clear the status."""
        self._started = None


class ProgressBar(Progress):
    """Draws the phase and its progress on one line of a terminal."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._bar: tqdm[NoReturn] | None = None

    def begin(self) -> None:
        """Draw nothing yet: the engine may be in the cache."""
        self._bar = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Draw a report, unless the last drawing is too recent."""
        if self._bar is None:
            self._bar = tqdm(file=self._terminal, total=total, miniters=0, dynamic_ncols=True)
        # Phases are nested and take turns, so the position is set, not incremented.
        self._bar.total, self._bar.n = total, done
        self._bar.set_description_str(phase, refresh=False)
        self._bar.update(0)

    def end(self) -> None:
        """End the line, if one was drawn."""
        if self._bar is not None:
            self._bar.close()
