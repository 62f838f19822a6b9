# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.bags.looker import BagImage, Looker
from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.frame import Frame


class Estimator:
    """Finds a frame's width in place of poses; also its own engine. Writes down what happens."""

    def __init__(self, max_batch, *, overlaps):
        self.max_batch, self.overlaps = max_batch, overlaps
        self.engine = self
        self.log = []

    def submit(self, frames):
        widths = [frame.size[1] for frame in frames]
        self.log.append(f"begin {widths}")
        return Pending(widths, self.log)

    def close(self):
        self.log.append("close")


class Pending:
    def __init__(self, widths, log):
        self.widths, self.log = widths, log

    def result(self):
        if 13 in self.widths:
            raise EngineError("the engine failed")
        self.log.append(f"end {self.widths}")
        return self.widths


def look(estimator, widths):
    """Take in images of these widths; return what happened."""
    looker = Looker(estimator, lambda image, width: estimator.log.append((image.stamp, width)))
    for width in widths:
        frame = Frame(np.zeros((2, width, 3), np.uint8))
        looker.add(BagImage("/image", -width, None, frame))
    looker.finish()
    looker.close()
    return estimator.log


@pytest.mark.parametrize("overlaps", [False, True], ids=["one after the other", "overlapping"])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_image_gets_its_own_poses_in_order(batch, overlaps):
    log = look(Estimator(batch, overlaps=overlaps), range(1, 9))
    assert [each for each in log if isinstance(each, tuple)] == [(-n, n) for n in range(1, 9)]
    assert log[-1] == "close"


def test_the_engine_is_at_work_again_before_results_are_delivered():
    assert look(Estimator(1, overlaps=False), [1, 2]) == [
        *("begin [1]", "end [1]", "begin [2]", (-1, 1), "end [2]", (-2, 2), "close")
    ]


def test_a_second_batch_begins_before_the_first_has_ended_if_the_engine_can_do_that():
    assert look(Estimator(1, overlaps=True), [1, 2, 3])[:5] == [
        *("begin [1]", "begin [2]", "end [1]", "begin [3]", (-1, 1))
    ]


def test_what_does_not_fill_a_batch_is_looked_at_in_the_end():
    assert look(Estimator(2, overlaps=True), [1, 2, 3])[-3:] == ["end [3]", (-3, 3), "close"]


def test_an_engine_s_failure_is_told():
    with pytest.raises(EngineError):
        look(Estimator(1, overlaps=True), [12, 13, 14])
