# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo's other processes; each has a log file and ends with the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.ros.process import end_with, large_images_environment

_PATIENCE = 5.0  # seconds for a process to end


class Processes:
    """Processes that end with a `with` block, last started first; their logs go to `folder`.

    They also end with this process, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started.values()):
            process.terminate()
        for process in reversed(self._started.values()):
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run a Python module, with its output in the file NAME.log."""
        with self._log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=large_images_environment(),
                preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509  # one system call
            )

    def is_running(self, name: str) -> bool:
        """Return whether a process runs; False if it has ended with exit code 0.

        Raises:
            KpPoseError: it failed; the message quotes the last line of its log above ROS's INFO,
                which the middleware may log while the process ends.
        """
        code = self._started[name].poll()
        if code:
            lines = self._log(name).read_text(errors="replace").strip().splitlines()
            reasons = [line for line in lines if not line.startswith("[INFO]")]
            last = reasons[-1] if reasons else f"exit code {code}"
            raise KpPoseError(f"the {name} process failed: {last} (see {self._log(name)})")
        return code is None

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
