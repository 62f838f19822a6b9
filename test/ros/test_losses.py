# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from pathlib import Path

import pytest

from kp_pose_ros.ros.diagnostics import Counts, Losses

CLOCK = "kp_pose_ros.timing.monotonic"


def test_many_losses_are_told_with_their_share_and_the_mend(clock):
    sentence = Losses().look(Counts(lost=60, received=30))
    assert sentence.startswith("60 of 90 images were lost on the way to this node: ")
    variable, _, profile = next(word for word in sentence.split() if "=" in word).partition("=")
    assert variable.endswith("_DEFAULT_PROFILES_FILE")
    assert Path(profile.rstrip(";")).is_file()


class Growing(Counter):
    """Gets a new field while it is iterated over, as by the worker's thread."""

    def items(self):
        for each in super().items():
            self[f"field {len(self)}"] = 1
            yield each


def test_the_worker_counts_on_meanwhile(clock):
    assert Losses().look(Counts(lost=60, received=30, bad=Growing(step=1, data=1)))


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(Counts(received=1000), id="none"),
        pytest.param(Counts(lost=9, received=30), id="a few at the start"),
        pytest.param(Counts(lost=15, received=3000), id="the odd one of very many"),
    ],
)
def test_few_losses_are_not_told(clock, counts):
    assert Losses().look(counts) is None


def test_losses_are_told_again_after_a_while_with_what_came_since(clock):
    losses = Losses()
    assert losses.look(Counts(lost=60, received=30))
    assert losses.look(Counts(lost=100, received=60)) is None
    clock[0] += 61
    assert losses.look(Counts(lost=160, received=80)).startswith("100 of 150 images")
    clock[0] += 61
    assert losses.look(Counts(lost=160, received=980)) is None


def test_losses_are_told_however_long_all_went_well_before(clock):
    losses = Losses()
    for minute in range(1, 61):
        assert losses.look(Counts(received=1800 * minute)) is None
    received = 1800 * 60 + 15
    assert losses.look(Counts(lost=15, received=received)).startswith("15 of 30 images")
