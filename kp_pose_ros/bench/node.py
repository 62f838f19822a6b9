# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under test, in this process, and its cameras in another one."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from kp_pose_ros.bench.measure import CameraRound, NodeRound, Sampler, resident_bytes
from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.memory import keep_image_memory
from kp_pose_ros.inference.factory import Settings
from kp_pose_ros.ros.board import readings, slow_readings
from kp_pose_ros.ros.large_images import large_images_environment, use_large_images
from kp_pose_ros.ros.pose_node import PoseNode

_CAMERA = [sys.executable, "-m", "kp_pose_ros.bench.camera"]
_BECAME = ("lost", "received", "processed", "dropped", "unwanted", "failed")  # of Counts
_WARM_UP = 0.5  # seconds of the first round, which does not count
_SAMPLING = 0.2  # seconds between two looks at the machine
_POLLING = 0.1  # seconds between two looks at whether something has failed
_PATIENCE = 2.0  # seconds that the node's threads have to end


class NodeUnderTest:
    """Runs a PoseNode for as long as a `with` statement lasts. Between rounds it rests."""

    def __init__(
        self, settings: Settings, args: argparse.Namespace, pictures: npt.NDArray[np.uint8]
    ) -> None:
        """Prepare.

        Args:
            settings: the estimator's.
            args: rate (frames a second), cameras (how many), depth and smoothing.
            pictures: (n, height, width, 3) uint8 BGR, what the cameras send.
        """
        self._args = args
        self._settings = settings
        self._pictures = pictures
        self._namespace = f"/kp_pose_bench_{os.getpid()}"
        self._cameras = [f"camera_{index}" for index in range(args.cameras)]
        self._failures: list[BaseException] = []
        self._undo = ExitStack()

    def __enter__(self) -> NodeUnderTest:
        with ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def run(self, seconds: float, *, overlay: bool) -> NodeRound:
        """Let the cameras send frames for a while, with subscribers to the pictures or without.

        Raises:
            EngineError: the cameras' process failed. What the node fails with comes through.
        """
        self._change_state(Transition.TRANSITION_ACTIVATE)
        self._node.times.clear()
        before = self._became()
        with Sampler(_readings, _SAMPLING) as sampler:
            found = self._run_cameras(seconds, overlay)
        self._change_state(Transition.TRANSITION_DEACTIVATE)  # no frame is under way any more
        return NodeRound(
            cameras=found,
            stages=self._node.times.seconds(),
            became=self._became() - before,
            memory=resident_bytes(),
            readings=sampler.means(),
        )

    def _start(self, undo: ExitStack) -> None:
        self._file = Path(undo.enter_context(TemporaryDirectory())) / "pictures.npy"
        np.save(self._file, self._pictures)
        keep_image_memory()
        use_large_images()
        # What there is to know the table says; and rclpy's own handler of Ctrl-C would end the
        # context under the thread that publishes.
        quiet = ["--ros-args", "--log-level", "error"]
        rclpy.init(args=quiet, signal_handler_options=SignalHandlerOptions.NO)
        undo.callback(rclpy.shutdown)
        log = logging.getLogger("kp_pose_ros")
        undo.callback(setattr, log, "propagate", log.propagate)
        log.propagate = False  # the node has a log of its own
        self._node = PoseNode(
            on_failure=self._failures.append,
            namespace=self._namespace,
            parameter_overrides=self._parameters(),
        )
        undo.callback(self._node.destroy_node)
        undo.callback(self._node.close, _PATIENCE)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        spinner = Thread(target=self._spin, daemon=True)
        spinner.start()
        undo.callback(spinner.join, _PATIENCE)
        undo.callback(self._executor.shutdown, _PATIENCE)
        self._run_cameras(_WARM_UP, overlay=False)  # the network is opened for the first frame
        self._change_state(Transition.TRANSITION_DEACTIVATE)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except BaseException as error:  # nobody else would hear of it
            self._failures.append(error)

    def _change_state(self, transition: int) -> None:
        """Make a transition and wait for its end."""
        ended = Event()
        task = self._executor.create_task(self._node.change_state, transition)
        task.add_done_callback(lambda _: ended.set())
        while not ended.wait(_POLLING):
            self._raise_failures()
        self._raise_failures()

    def _became(self) -> Counter[str]:
        """Return what became of all cameras' frames since the node was configured."""
        became: Counter[str] = Counter()
        for camera in self._node.cameras.values():
            became.update({name: getattr(camera.counts, name) for name in _BECAME})
        return became

    def _run_cameras(self, seconds: float, overlay: bool) -> CameraRound:
        args = self._args
        command = [*_CAMERA, self._namespace, str(self._file), "--seconds", str(seconds)]
        command += ["--node", str(os.getpid()), "--rate", str(args.rate)]
        command += ["--cameras", *self._cameras, *["--overlay"] * overlay]
        command += ["--depth"] * args.depth
        # In a session of its own, so that Ctrl-C is heard by this process only, which ends it.
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=large_images_environment(),
        ) as process:
            try:
                output, errors = self._output(process)
            finally:
                process.kill()
        if process.returncode:
            why = " ".join(errors.split()[-40:])  # the end of a traceback
            raise EngineError(
                f"the process of the cameras ended with code {process.returncode}: {why}"
            )
        return CameraRound(**json.loads(output))

    def _output(self, process: subprocess.Popen[str]) -> tuple[str, str]:
        """Wait for what a process prints, and its errors, unless the node fails meanwhile."""
        while True:
            try:
                return process.communicate(timeout=_POLLING)
            except subprocess.TimeoutExpired:
                self._raise_failures()

    def _raise_failures(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _parameters(self) -> list[Parameter[Any]]:
        settings, decode = self._settings, self._settings.decode
        values: dict[str, Any] = {
            "model": str(settings.model),
            "skeleton": str(settings.skeleton or ""),
            "engine": settings.engine,
            "precision": settings.precision,
            "imgsz": "{}, {}".format(*settings.imgsz) if settings.imgsz else "auto",
            "cameras": self._cameras,
            "image_qos": "reliable",
            "max_batch": settings.max_batch,
            "score_threshold": decode.score_threshold,
            "iou_threshold": decode.iou_threshold,
            "max_poses": decode.max_poses,
            "depth.enabled": self._args.depth,
            "tracking.smoothing": self._args.smoothing,
        }
        return [Parameter(name, value=value) for name, value in values.items()]


def _readings() -> dict[str, float]:
    return readings() | slow_readings()
