# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
import subprocess
import sys
from time import monotonic, sleep

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


LOCK = """
import fcntl, time
file = open("lock", "w")
fcntl.flock(file, fcntl.LOCK_EX)
time.sleep(60)
"""
START = """
from pathlib import Path
from time import sleep
from kp_pose_ros.demo.processes import Processes
Processes(Path()).start("camera", "locks")
sleep(60)
"""


def test_a_process_ends_with_a_demo_that_is_killed(tmp_path, monkeypatch):
    (tmp_path / "locks.py").write_text(LOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def is_locked():
        with (tmp_path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    demo = subprocess.Popen([sys.executable, "-c", START], cwd=tmp_path)
    for locked in (True, False):
        deadline = monotonic() + 60
        while is_locked() != locked:
            assert monotonic() < deadline
            sleep(0.01)
        demo.kill()
    demo.wait()
