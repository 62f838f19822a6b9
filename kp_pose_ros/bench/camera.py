# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of `kp_pose bench`: a process that sends frames and times the answers."""

from __future__ import annotations

import argparse
import array
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from kp_pose_ros.bench.measure import CameraRound, cpu_seconds
from kp_pose_ros.image.memory import keep_image_memory
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.ros.qos import NEWEST, RESULTS

_IN_FLIGHT = 2  # one in the engine, one waiting: the node never idles and never drops a frame
_LOST_AFTER = 1.0  # seconds; then frames without an answer are replaced
_WALL = 3.0  # metres; everything is as far away
_LOOKING_AFTER = 0.1  # seconds between two looks whether the bench still runs
_DISCOVERY = 30.0  # seconds that the node has to appear and to prepare its network


class Camera:
    """Sends frames of one camera and receives what the node makes of them."""

    def __init__(
        self, node: Node, name: str, messages: list[Image], args: argparse.Namespace
    ) -> None:
        self.sent = 0
        self.latencies: list[float] = []
        self._node = node
        self._messages = messages
        self._in_flight: deque[int] = deque()  # stamps in nanoseconds, oldest first
        self._last_answer = monotonic()
        # Reliable, so that what is lost on the way does not count against the node.
        self._publisher = node.create_publisher(Image, f"{name}/image", _IN_FLIGHT)
        node.create_subscription(PoseArray, f"{name}/poses", self._on_poses, RESULTS)
        # What is sent with each frame, and by whom.
        self._beside: list[tuple[Publisher[Any], Any]] = []
        if args.depth:
            self._beside = [
                (node.create_publisher(type(message), f"{name}/{topic}", _IN_FLIGHT), message)
                for topic, message in _depth_and_calibration(messages[0]).items()
            ]
        if args.overlay:
            node.create_subscription(Image, f"{name}/annotated", lambda _: None, NEWEST)
        self._answers_next = args.rate == 0
        period = 1 / args.rate if args.rate else _LOST_AFTER
        self._timer = node.create_timer(period, self._on_timer)

    def is_seen(self) -> bool:
        """Whether the node subscribes to the frames."""
        return self._publisher.get_subscription_count() > 0

    def fill(self) -> None:
        """Send what is missing of the frames in flight."""
        while len(self._in_flight) < _IN_FLIGHT:
            self._send()

    def forget(self) -> None:
        """Begin to count."""
        self.sent = 0
        self.latencies.clear()

    def _send(self) -> None:
        message = self._messages[self.sent % len(self._messages)]
        self.sent += 1
        now = self._node.get_clock().now()
        self._in_flight.append(now.nanoseconds)
        message.header.stamp = now.to_msg()
        for publisher, other in self._beside:
            other.header = message.header
            publisher.publish(other)
        self._publisher.publish(message)

    def _on_poses(self, message: PoseArray) -> None:
        now, stamp = self._node.get_clock().now(), Time.from_msg(message.header.stamp)
        self.latencies.append((now - stamp).nanoseconds / 1e9)
        self._last_answer = monotonic()
        # An answer to a newer frame says that there will be none to the older ones.
        while self._in_flight and self._in_flight[0] <= stamp.nanoseconds:
            self._in_flight.popleft()
        if self._answers_next:
            self.fill()

    def _on_timer(self) -> None:
        if not self._answers_next:
            self._send()
        elif monotonic() - self._last_answer > _LOST_AFTER:
            self._last_answer = monotonic()
            self._in_flight.clear()
            self.fill()


def main() -> int:
    """Send frames for a while and print what was found, a CameraRound, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("namespace")
    parser.add_argument("pictures", type=Path, help="an array (n, height, width, 3) of BGR")
    parser.add_argument("--node", type=int, required=True, help="its process, which started this")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True, help="0: a frame for each answer")
    parser.add_argument("--cameras", nargs="+", required=True)
    parser.add_argument("--overlay", action="store_true")
    parser.add_argument("--depth", action="store_true")
    args = parser.parse_args()
    keep_image_memory()
    rclpy.init(args=[])
    node = Node("camera", namespace=args.namespace)
    node.create_timer(_LOOKING_AFTER, partial(_end_with, args.node))
    messages = [_message(picture) for picture in np.load(args.pictures)]
    cameras = [Camera(node, name, messages, args) for name in args.cameras]
    _spin(node, _DISCOVERY, lambda: all(camera.is_seen() for camera in cameras))
    for camera in cameras:
        camera.fill()
    # The first answers tell that everything is connected and prepared; they do not count.
    _spin(node, _DISCOVERY, lambda: all(len(camera.latencies) > 2 for camera in cameras))
    print(json.dumps(asdict(_measure(node, cameras, args))))
    node.destroy_node()
    rclpy.shutdown()
    return 0


def _measure(node: Node, cameras: Sequence[Camera], args: argparse.Namespace) -> CameraRound:
    for camera in cameras:
        camera.forget()
    start, cpu = monotonic(), cpu_seconds(args.node)
    _spin(node, args.seconds)
    return CameraRound(
        seconds=monotonic() - start,
        sent=[camera.sent for camera in cameras],
        answered=[len(camera.latencies) for camera in cameras],
        latencies=[latency for camera in cameras for latency in camera.latencies],
        cpu_seconds=cpu_seconds(args.node) - cpu,
    )


def _end_with(process: int) -> None:
    """End this process if it has outlived the one that started it."""
    if os.getppid() != process:
        os._exit(1)


def _spin(node: Node, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    end = monotonic() + seconds
    while monotonic() < end and not until():
        rclpy.spin_once(node, timeout_sec=0.1)


def _message(picture: Any) -> Image:
    height, width, channels = picture.shape
    message = Image(height=height, width=width, step=width * channels, encoding="bgr8")
    message.header.frame_id = "camera"
    message.data = array.array("B", picture.tobytes())
    return message


def _depth_and_calibration(frame: Image) -> dict[str, Any]:
    """Return what a camera of such frames sends beside them, by topic."""
    height, width = frame.height, frame.width
    millimetres = np.full((height, width), _WALL * 1000, np.uint16)
    depth = Image(height=height, width=width, step=width * 2, encoding="16UC1")
    depth.data = array.array("B", millimetres.tobytes())
    focal = 0.8 * width  # of a usual lens
    matrix = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    info = CameraInfo(height=height, width=width, k=matrix)
    return {"depth": depth, "camera_info": info}


if __name__ == "__main__":
    sys.exit(main())
