# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import cv2
import pytest

pytestmark = pytest.mark.ros


def test_bench_prints_every_stage_and_compares_with_the_network(demo_weights, demo_photo, tmp_path):
    picture = tmp_path / "zidane.png"
    cv2.imwrite(str(picture), demo_photo("zidane.jpg"))
    command = [sys.executable, "-m", "kp_pose_ros.cli", "bench", str(picture), "--annotated"]
    command += ["--model", str(demo_weights), "--rounds", "1", "--seconds", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("  ")[0] for line in done.stdout.splitlines()]
    for stage in ("convert", "letterbox", "infer", "decode", "message", "publish", "annotate"):
        assert stage in rows
    assert "camera stamp -> poses" in rows
    assert "of the network alone" in done.stdout
    assert "2.0 poses a frame" in done.stdout
