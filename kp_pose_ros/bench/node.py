# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under test, in this process; its cameras and the relay run in others."""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from tempfile import TemporaryFile
from threading import Thread
from time import monotonic, sleep
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.parameter import Parameter

from kp_pose_ros.bench.measure import (
    CameraRound,
    NodeRound,
    OtherProcesses,
    Sampler,
    resident_bytes,
)
from kp_pose_ros.errors import EngineError
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.inference.factory import EstimatorSettings
from kp_pose_ros.ros.board import readings, slow_readings
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.pose_node import PoseNode
from kp_pose_ros.ros.process import large_images_environment, start_rclpy, use_large_images

_BECAME = ("lost", "received", "processed", "dropped", "unwanted", "failed")  # of Counts
_WARM_UP = 0.5  # seconds of the first rounds, which do not count
_SAMPLING = 0.2  # seconds between two readings of the machine's sensors
_POLLING = 0.1  # seconds between two checks for a failure
_PATIENCE = 2.0  # seconds that the node's threads have to end


class NodeUnderTest:
    """Runs a PoseNode, a relay and their cameras while a `with` statement lasts.

    Args:
        settings: the estimator's.
        args: rate (frames a second), cameras (how many), depth and smoothing.
        pictures: (n, height, width, 3) uint8 BGR, the cameras' frames.
    """

    def __init__(
        self, settings: EstimatorSettings, args: argparse.Namespace, pictures: npt.NDArray[np.uint8]
    ) -> None:
        self._args = args
        self._settings = settings
        self._pictures = pictures
        self._namespace = f"/kp_pose_bench_{os.getpid()}"
        self._names = [f"camera_{index}" for index in range(args.cameras)]
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
        """Send frames to the node for a while, with a subscriber to its annotated image or without.

        Raises:
            EngineError: the cameras' process failed. Errors that end the node are raised as well.
        """
        self._node.times.clear()
        before = self._became()
        with Sampler(lambda: readings() | slow_readings(), _SAMPLING) as sampler:
            found = self._run_cameras("node", os.getpid(), seconds, overlay=overlay)
        return NodeRound(
            cameras=found,
            stages=self._node.times.seconds(),
            became=self._became() - before,
            memory=resident_bytes(),
            readings=sampler.means(),
        )

    def run_relay(self, seconds: float) -> CameraRound:
        """Send the same frames to the relay; raises as `run`."""
        return self._run_cameras("relay", self._relay.pid, seconds)

    def other_processes(self) -> OtherProcesses:
        """Begin to measure the CPU time of everything that is not part of this benchmark."""
        return OtherProcesses([os.getpid(), self._relay.pid, self._cameras.pid])

    def _start(self, undo: ExitStack) -> None:
        # Without a name, so that nothing is left, however this process ends.
        pictures = undo.enter_context(TemporaryFile())  # noqa: SIM115
        np.save(pictures, self._pictures)
        pictures.flush()
        tune_process()
        use_large_images()
        start_rclpy(["--ros-args", "--log-level", "error"])  # the table says everything
        undo.callback(rclpy.shutdown)
        log = logging.getLogger("kp_pose_ros")
        undo.callback(setattr, log, "propagate", log.propagate)
        log.propagate = False  # the node logs it
        self._node = PoseNode(
            on_failure=self._failures.append,
            namespace=f"{self._namespace}/node",
            parameter_overrides=self._parameters(),
        )
        undo.callback(self._node.destroy_node)
        undo.callback(self._node.close, _PATIENCE)
        self._executor = GuardedExecutor()
        self._executor.add_node(self._node)
        spinner = Thread(target=self._spin, daemon=True)
        spinner.start()
        undo.callback(spinner.join, _PATIENCE)
        undo.callback(self._executor.create_task, self._executor.shutdown)
        words = [f"{self._namespace}/relay", *self._names]
        self._relay = undo.enter_context(_Process("relay", words))
        path = f"/proc/{os.getpid()}/fd/{pictures.fileno()}"
        words = [self._namespace, path, "--rate", str(self._args.rate)]
        words += ["--cameras", *self._names, *["--depth"] * self._args.depth]
        self._cameras = undo.enter_context(_Process("camera", words))
        self.run(_WARM_UP, overlay=False)  # the network is opened for the first frame
        self.run_relay(_WARM_UP)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except BaseException as error:  # would otherwise be lost with the thread
            self._failures.append(error)

    def _became(self) -> Counter[str]:
        """Return what became of all cameras' frames so far, once none is in progress."""
        end = monotonic() + _PATIENCE
        while True:
            became: Counter[str] = Counter()
            for camera in self._node.cameras.values():
                became.update({name: getattr(camera.counts, name) for name in _BECAME})
            ended = became.total() - became["lost"] - became["received"]
            if ended == became["received"] or monotonic() > end:
                return became
            sleep(_POLLING)

    def _run_cameras(
        self, program: str, process: int, seconds: float, *, overlay: bool = False
    ) -> CameraRound:
        request = {"program": program, "process": process, "seconds": seconds, "overlay": overlay}
        return CameraRound(**self._cameras.ask(request, self._raise_failures))

    def _raise_failures(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _parameters(self) -> list[Parameter[Any]]:
        settings = self._settings
        values: dict[str, Any] = {
            "model": str(settings.model),
            "skeleton": str(settings.skeleton or ""),
            "layout": settings.layout,
            "engine": settings.engine,
            "device": settings.device,
            "providers": list(settings.providers) or [""],
            "precision": settings.precision,
            "threads": str(settings.threads or "auto"),
            "imgsz": "{}, {}".format(*settings.imgsz) if settings.imgsz else "auto",
            "cameras": self._names,
            "image_qos": "reliable",
            "max_batch": settings.max_batch,
            **asdict(settings.decode),
            "depth.enabled": self._args.depth,
            "tracking.smoothing": self._args.smoothing,
        }
        return [Parameter(name, value=value) for name, value in values.items()]


class _Process:
    """A module of this folder in a process of its own, which a `with` statement ends."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._name = module
        self._errors = TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"kp_pose_ros.bench.{module}", f"{os.getpid()}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C then reaches the benchmark only, which ends this process.
            start_new_session=True,
            env=large_images_environment(),
        )
        self.pid = self._process.pid

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, request: Mapping[str, object], check: Callable[[], None]) -> dict[str, Any]:
        """Return the answer to a request, both JSON on a line; `check` may raise meanwhile.

        Raises:
            EngineError: the process has ended.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018  # for mypy
        with suppress(BrokenPipeError):
            stdin.write(f"{json.dumps(request)}\n".encode())
            stdin.flush()
        while not select.select([stdout], [], [], _POLLING)[0]:
            check()
        if answer := stdout.readline():
            return dict(json.loads(answer))
        code = self._process.wait()
        self._errors.seek(0)
        why = " ".join(self._errors.read().decode(errors="replace").split()[-40:])
        raise EngineError(
            f"the process {self._name} of the benchmark ended with code {code}: {why}"
        )
