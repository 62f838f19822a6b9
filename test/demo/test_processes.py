# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
from time import sleep

import pytest

from kp_pose_ros.demo.processes import Processes
from kp_pose_ros.errors import KpPoseError


def wait_for_its_end(processes):
    while processes.is_running("camera"):
        sleep(0.01)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        pytest.param(["started", "no such camera"], "no such camera", id="the last line"),
        pytest.param(
            ["no such camera", "[INFO] [1.5] [rmw_fastrtps_cpp]: subscriber discovered"],
            "no such camera",
            id="not what the middleware of Lyrical says as it ends",
        ),
        pytest.param(["[INFO] [1.5] [node]: started"], "exit code 1", id="nothing but INFO"),
        pytest.param([], "exit code 1", id="nothing"),
    ],
)
def test_a_process_that_failed_is_told_with_its_reason(tmp_path, monkeypatch, log, told):
    (tmp_path / "failing.py").write_text(f"import sys\nprint(*{log!r}, sep='\\n')\nsys.exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Processes(tmp_path) as processes:
        processes.start("camera", "failing")
        with pytest.raises(KpPoseError, match=f"the camera process failed: {told}"):
            wait_for_its_end(processes)
