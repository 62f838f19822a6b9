# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT's progress monitor, from TensorRT 10 on, as calls of a `Progress`."""

from __future__ import annotations

from typing import SupportsInt

from kp_pose_ros.inference.progress import Progress
from kp_pose_ros.inference.tensorrt.bindings import trt

HAS_MONITOR = hasattr(trt, "IProgressMonitor")


class BuildWatch:
    """Hands reports on and ends the build when that raises.

    An exception cannot pass through TensorRT, so it is kept and the build is cancelled.

    Attributes:
        stopped_by: what `progress` raised, such as a KeyboardInterrupt.
    """

    def __init__(self, progress: Progress) -> None:
        self.stopped_by: BaseException | None = None
        self._progress = progress
        self._totals: dict[str, int] = {}

    def start(self, phase: str, total: int) -> None:
        """Take the start of a phase of `total` steps."""
        self._totals[phase] = total
        self.step(phase, 0)

    def step(self, phase: str, done: int) -> bool:
        """Take the end of a step; return whether to go on."""
        if self.stopped_by is None:
            try:
                self._progress(phase, done, self._totals[phase])
            except BaseException as error:
                self.stopped_by = error
        return self.stopped_by is None


def attach(config: trt.IBuilderConfig, watch: BuildWatch) -> object:
    """Make the build tell `watch`; the result has to live until the build ends."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: SupportsInt) -> None:
            watch.start(phase_name, int(num_steps))

        def step_complete(self, phase_name: str, step: SupportsInt) -> bool:
            return watch.step(phase_name, int(step) + 1)

        def phase_finish(self, phase_name: str) -> None:
            pass

    monitor = Monitor()
    config.progress_monitor = monitor
    return monitor
