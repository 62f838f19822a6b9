# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""examples/in_process.py, run as a user runs it."""

import signal
import subprocess
import sys
from pathlib import Path

from node_process import PATIENCE
from peer import image_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "in_process.py"


def test_a_planner_sees_people_in_its_own_process(peer, bus, demo_weights, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, EXAMPLE, "--ros-args", "-r", "__ns:=/inside"]
    command += ["-p", f"model:={demo_weights}"]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        camera = peer("inside", results=None).connect()
        camera.send_until(lambda: "4 people, scores [0." in log.read_text(), lambda: image_of(bus))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in log.read_text()
