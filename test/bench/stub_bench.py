# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""stub_bench.py ARGUMENT...: `kp_pose bench` with an engine that takes 1 ms and finds nobody.

What is left is what the node itself costs, such as that of four cameras:
  tools/in_ros_env python3 test/bench/stub_bench.py PICTURE --cameras 4 --rate 30 --overlay without
"""

import sys
from concurrent.futures import Future
from pathlib import Path
from time import sleep

import numpy as np

from kp_pose_ros import cli
from kp_pose_ros.inference import factory
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.timing import StageTimes

INFER = 0.001  # seconds a batch


class StubEngine:
    """Looks at nothing."""

    name = "stub"
    overlaps = False

    def __init__(self, model, settings, *_):
        self.max_batch = settings.max_batch
        self.times = StageTimes()
        self._size = model.metadata.imgsz
        self._nobody = np.zeros((0, 6 + np.prod(model.metadata.kpt_shape)), np.float32)

    def prepare(self, frame):
        return Path("none")

    def submit(self, frames):
        with self.times.measure("infer"):
            sleep(INFER)
        found = [Candidates(self._nobody, Letterbox.fit(each.size, self._size)) for each in frames]
        pending = Future()
        pending.set_result(found)
        return pending

    def network_call(self, frames):
        return lambda: sleep(INFER)

    def close(self):
        pass


if __name__ == "__main__":
    factory._MAKERS["onnx"] = StubEngine
    sys.exit(cli.main(["bench", *sys.argv[1:], "--engine", "onnx"]))
