# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from kp_pose_ros.errors import EngineError, GpuLostError
from kp_pose_ros.ros.diagnostics import Counts
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.worker import Worker


@pytest.fixture
def worker(ros_node):
    made = Worker(Parameters(), (), ros_node.get_logger(), ros_node.context, call=lambda _: None)
    made._applied = made._parameters
    made._network_width = made._presentation = None
    made._estimator = SimpleNamespace(engine=SimpleNamespace(max_batch=2))
    yield made
    made.receiver.leave()


@pytest.mark.parametrize(("is_busy", "takes"), [(True, 1), (False, 2)], ids=["busy", "idle"])
def test_a_busy_worker_does_not_wait_for_more_after_images_that_cannot_be_read(
    worker, is_busy, takes
):
    broken = SimpleNamespace(read=lambda *_: None)
    turns = [[broken], []]
    worker.receiver.take = lambda *_, **__: turns.pop(0)
    assert worker._begin(is_busy=is_busy) is None
    assert 2 - len(turns) == takes


class FailingEngine:
    """Fails on every batch with the frame "bad", when it is submitted or in its result."""

    def __init__(self, error, fails_at_once):
        self._error, self._fails_at_once = error, fails_at_once

    def submit(self, frames):
        pending = Future()
        if "bad" not in frames:
            pending.set_result([f"people in {frame}" for frame in frames])
        elif self._fails_at_once:
            raise self._error
        else:
            pending.set_exception(self._error)
        return pending


def images_of(*frames):
    cameras = [SimpleNamespace(label=frame, counts=Counts()) for frame in frames]
    return [(camera, SimpleNamespace(frame=camera.label)) for camera in cameras]


@pytest.mark.parametrize("fails_at_once", [True, False], ids=["submitting", "waiting"])
def test_an_image_that_the_engine_fails_on_costs_no_other_camera_s(
    worker, monkeypatch, fails_at_once
):
    told = []
    monkeypatch.setattr(worker._logger, "error", told.append)
    worker._estimator.engine = FailingEngine(EngineError("too large"), fails_at_once)
    images = images_of("left", "bad", "right")
    for _ in range(2):
        found = worker._candidates(worker._submit(images))
        assert [people for _, _, people in found] == ["people in left", "people in right"]
    assert [camera.counts.failed for camera, _ in images] == [0, 2, 0]
    assert told == ["bad: too large; the next images are still tried"]


def test_no_image_is_tried_again_on_a_lost_gpu(worker):
    worker._estimator.engine = FailingEngine(GpuLostError("lost"), True)
    with pytest.raises(GpuLostError):
        worker._candidates(worker._submit(images_of("left", "bad")))
