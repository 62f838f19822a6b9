# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Four cameras at 30 Hz, 1280 x 720, which is 330 MB/s, and an engine that is no bottleneck."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from echo_model import write_echo_model

BENCH = Path(__file__).parents[1] / "bench/stub_bench.py"
CAMERAS = 4


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """What the bench printed: numbers of each row by its name."""
    folder = tmp_path_factory.mktemp("load")
    cv2.imwrite(str(folder / "dark.png"), np.zeros((720, 1280, 3), np.uint8))
    model = write_echo_model(folder / "echo.onnx")
    command = [sys.executable, BENCH, folder / "dark.png", "--model", model, "--rate", "30"]
    command += ["--cameras", str(CAMERAS), "--rounds", "1", "--seconds", "4"]
    command += ["--overlay", "without"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    rows = [line.strip("|").split("|") for line in done.stdout.splitlines() if "|" in line]
    return {row[0].strip(): row[1].strip() for row in rows}


def numbers(text):
    return [float(each) for each in re.findall(r"\d+(?:\.\d+)?", text)]


# With another middleware images go through sockets, which share as they like.
@pytest.mark.usefixtures("fast_dds")
def test_every_camera_gets_its_share(table):
    sent = np.array(numbers(table["sent by each camera, frames/s"]))
    share = np.array(numbers(table["share of each camera"]))
    # One process sends for all of them, and on a busy machine some get to send less. If the node
    # processes all that was sent, the shares are those; if it drops most of it, they are equal.
    extremes = np.array([sent / sent.sum(), np.full(CAMERAS, 1 / CAMERAS)])
    processed = numbers(table["frames that reached the node"])[1]
    some = 8 / (processed / CAMERAS)  # images, which matter on a machine that processes few
    tolerance = max(0.1, some)
    assert (share > extremes.min(axis=0) * (1 - tolerance)).all()
    assert (share < extremes.max(axis=0) * (1 + tolerance)).all()


def test_every_frame_is_either_processed_or_dropped(table):
    received, *became = numbers(table["frames that reached the node"])
    assert received == sum(became) > 0
    assert "processed" in table["frames that reached the node"]
    assert "failed" not in table["frames that reached the node"]


def test_latencies_are_printed_to_the_99th_percentile(table):
    p50, p95, p99 = numbers(table["camera stamp -> poses, ms (p50, p95, p99)"])
    assert 0 < p50 <= p95 <= p99
