# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import mmap
import os
import subprocess
import sys
from threading import Event
from time import process_time, sleep

import numpy as np

from kp_pose_ros.bench.measure import (
    CameraRound,
    OtherProcesses,
    Sampler,
    cpu_seconds,
    joined,
    network_rate,
    resident_bytes,
)
from kp_pose_ros.image.frame import Frame


class CountingEngine:
    """Runs nothing, but counts how often."""

    def __init__(self):
        self.runs = 0

    def network_call(self, frames):
        def call():
            self.runs += len(frames)

        return call


def test_the_rate_of_a_round_counts_all_cameras():
    assert CameraRound(2.0, [20, 30], [10, 30], [], 0.0).rate == 20


def test_durations_of_rounds_are_joined_by_stage():
    rounds = [{"infer": [1.0]}, {"infer": [2.0, 3.0], "annotate": [4.0]}]
    assert joined(rounds) == {"infer": [1.0, 2.0, 3.0], "annotate": [4.0]}


def test_readings_are_averaged_while_it_lasts():
    numbers, enough = iter([{"power": 1.0}, {"power": 3.0}, {"clock": 8.0}]), Event()

    def read():
        found = next(numbers, None)
        if found is None:
            enough.set()
        return found or {}

    with Sampler(read, 0.001) as sampler:
        assert enough.wait(10)
    assert sampler.means() == {"power": 2.0, "clock": 8.0}


def test_network_rate_runs_until_the_time_is_over():
    engine = CountingEngine()
    rate = network_rate(engine, [Frame(np.zeros((4, 4, 3), np.uint8))], seconds=0.01)
    assert engine.runs > 0
    assert 0 < rate < engine.runs / 0.01 + 1


def test_resident_memory_grows_with_what_is_held():
    # A new mapping, since the allocator may reuse pages that were resident before.
    before = resident_bytes()
    with mmap.mmap(-1, 30_000_000) as held:
        held.write(b"\1" * len(held))
        assert resident_bytes() - before > 0.9 * len(held)


def test_cpu_time_is_that_of_the_process():
    before, ours = cpu_seconds(os.getpid()), process_time()
    while process_time() - ours < 0.2:
        pass
    assert 0.1 < cpu_seconds(os.getpid()) - before < 10


BURN = "import time\nprint(1, flush=True)\nwhile True: pass"


def test_the_cpu_time_of_others_leaves_out_our_own():
    with subprocess.Popen([sys.executable, "-uc", BURN], stdout=subprocess.PIPE) as burner:
        burner.stdout.readline()
        all_ours, without = OtherProcesses([os.getpid(), burner.pid]), OtherProcesses([os.getpid()])
        start = cpu_seconds(burner.pid)
        while cpu_seconds(burner.pid) - start < 0.5:
            sleep(0.01)
        seen = without.share(), all_ours.share()
        burner.kill()
    assert 0 < seen[0] <= 1
    assert 0 <= seen[1] < seen[0]
