# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under test, in this process, and its cameras in another one."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from kp_pose_ros.errors import EngineError
from kp_pose_ros.factory import Settings
from kp_pose_ros.measure import NodeRound, resident_bytes
from kp_pose_ros.ros.memory import keep_image_memory
from kp_pose_ros.ros.pose_node import PoseNode

_CAMERA = [sys.executable, "-m", "kp_pose_ros.ros.bench_camera"]


class NodeUnderTest:
    """Runs a PoseNode for as long as a `with` statement lasts."""

    def __init__(
        self, settings: Settings, args: argparse.Namespace, pictures: npt.NDArray[np.uint8]
    ) -> None:
        """Prepare.

        Args:
            settings: the estimator's.
            args: rate (frames a second), cameras (how many), annotated (subscribed or not).
            pictures: (n, height, width, 3) uint8 BGR, what the cameras send.
        """
        self._args = args
        self._settings = settings
        self._pictures = pictures
        self._namespace = f"/kp_pose_bench_{os.getpid()}"
        self._cameras = [f"camera_{index}" for index in range(args.cameras)]
        self._failures: list[BaseException] = []

    def __enter__(self) -> NodeUnderTest:
        self._folder = TemporaryDirectory()
        self._file = Path(self._folder.name) / "pictures.npy"
        np.save(self._file, self._pictures)
        keep_image_memory()
        rclpy.init(args=[])
        self._node = PoseNode(
            on_failure=self._failures.append,
            namespace=self._namespace,
            parameter_overrides=self._parameters(),
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._spinner = Thread(target=self._executor.spin, daemon=True)
        self._spinner.start()
        self.run(0.5)  # the network is prepared when the first frame arrives
        self._node.times.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._node.close(timeout=2.0)
        self._executor.shutdown()
        self._spinner.join(2.0)
        self._node.destroy_node()
        rclpy.shutdown()
        self._folder.cleanup()

    def run(self, seconds: float) -> NodeRound:
        """Let the cameras send frames for a while.

        Raises:
            EngineError: no poses came back.
        """
        args = self._args
        command = [*_CAMERA, self._namespace, str(self._file), "--seconds", str(seconds)]
        command += ["--rate", str(args.rate), "--cameras", *self._cameras]
        command += ["--annotated"] * args.annotated
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if self._failures:
            raise self._failures[0]
        if ended.returncode:
            raise EngineError(f"the camera process ended with code {ended.returncode}")
        return NodeRound(**json.loads(ended.stdout), memory=resident_bytes())

    def stage_seconds(self) -> dict[str, list[float]]:
        """Return the latest durations of each of the node's stages."""
        return self._node.times.seconds()

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
        }
        return [Parameter(name, value=value) for name, value in values.items()]
