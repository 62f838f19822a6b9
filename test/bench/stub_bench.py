# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""stub_bench.py [--infer MS] ARGUMENT...: `kp_pose bench` with a stub for a network.

Its engine letterboxes and waits for so many milliseconds (1 by default), in a thread of its own,
and finds nobody. What is left is the node itself; 0 shows it beside the relay, which is the floor:
  tools/in_ros_env python3 test/bench/stub_bench.py --infer 0 PICTURE
  tools/in_ros_env python3 test/bench/stub_bench.py PICTURE --cameras 4 --rate 30 --overlay without
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import numpy as np

from kp_pose_ros import cli
from kp_pose_ros.inference import factory
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.timing import StageTimes


class StubEngine:
    """Does everything but the network."""

    name = "stub"
    overlaps = False
    seconds = 0.001  # a batch

    def __init__(self, model, settings, *_):
        self.max_batch = settings.max_batch
        self.times = StageTimes()
        self._model, self._settings = model, settings
        self._nobody = np.zeros((0, 6 + np.prod(model.metadata.kpt_shape)), np.float32)
        self._canvases = {}
        self._pool = ThreadPoolExecutor(1)

    def prepare(self, frame):
        return Path("none")

    def submit(self, frames):
        return self._pool.submit(self._run, frames)

    def _run(self, frames):
        with self.times.measure("letterbox"):
            found = [Candidates(self._nobody, self._letterbox(frame)) for frame in frames]
        with self.times.measure("infer"):
            self._infer()
        return found

    def network_call(self, frames):
        return self._infer

    def close(self):
        pass

    def _infer(self):
        if self.seconds:
            sleep(self.seconds)

    def _letterbox(self, frame):
        size = self._model.network_size(frame.size, self._settings.imgsz)
        letterbox = Letterbox.fit(frame.size, size)
        if size not in self._canvases:
            self._canvases[size] = letterbox.canvas()
        letterbox.apply(frame.to_bgr(), self._canvases[size])
        return letterbox


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--infer", type=float, default=1.0, metavar="MS")
    ours, others = parser.parse_known_args()
    StubEngine.seconds = ours.infer / 1000
    factory._MAKERS["onnx"] = StubEngine
    sys.exit(cli.main(["bench", *others, "--engine", "onnx"]))
