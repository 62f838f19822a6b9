# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
import mmap

import numpy as np

from kp_pose_ros.frame import Frame
from kp_pose_ros.measure import NodeRound, network_rate, percentiles, resident_bytes


class CountingEngine:
    """Runs nothing, but counts how often."""

    def __init__(self):
        self.runs = 0

    def network_call(self, frames):
        def call():
            self.runs += len(frames)

        return call


def test_the_rate_of_a_round_counts_all_cameras():
    assert NodeRound(2.0, [10, 30], [], 0).rate == 20


def test_network_rate_runs_until_the_time_is_over():
    engine = CountingEngine()
    rate = network_rate(engine, [Frame(np.zeros((4, 4, 3), np.uint8))], seconds=0.01)
    assert engine.runs > 0
    assert 0 < rate < engine.runs / 0.01 + 1


def test_percentiles_are_the_median_and_the_tail():
    assert percentiles([float(n) for n in range(101)]) == [50, 95, 99]


def test_percentiles_of_nothing_are_no_number():
    assert all(math.isnan(each) for each in percentiles([]))


def test_resident_memory_grows_with_what_is_held():
    # A mapping of its own, since the allocator may hand out pages that were resident before.
    before = resident_bytes()
    with mmap.mmap(-1, 30_000_000) as held:
        held.write(b"\1" * len(held))
        assert resident_bytes() - before > 0.9 * len(held)
