# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

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
