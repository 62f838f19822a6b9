# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from kp_pose_ros.inference.progress import Progress


class Recorder(Progress):
    """Records the reports of a build; raises `error` at the first report, if there is one."""

    def __init__(self, error=None):
        self.reports = []
        self._error = error

    def begin(self):
        self.reports.append("begin")

    def __call__(self, *report):
        self.reports.append(report)
        if self._error:
            raise self._error

    def end(self):
        self.reports.append("end")
