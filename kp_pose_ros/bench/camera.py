# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of `kp_pose bench`: a process that sends frames and times the answers."""

from __future__ import annotations

import argparse
import array
import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image

from kp_pose_ros.bench.measure import CameraRound, cpu_seconds
from kp_pose_ros.errors import show
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.process import end_with
from kp_pose_ros.ros.qos import NEWEST, RESULTS
from kp_pose_ros.ros.rcl import has_buffers

IN_FLIGHT = 2  # one in the engine, one waiting: the node never idles and never drops a frame
_LOST_AFTER = 1.0  # seconds; then frames without an answer are replaced
_WALL = 3.0  # metres; the depth of every pixel
_START = 30.0  # seconds for the program under test to subscribe, and then to answer


class BenchCamera:
    """Sends the frames of one camera to one program and receives its answers."""

    def __init__(
        self, node: Node, name: str, messages: list[Image], args: argparse.Namespace
    ) -> None:
        self.sent = 0
        self.latencies: list[float] = []
        self._node = node
        self._name = name
        self._messages = messages
        self._in_flight: deque[int] = deque()  # stamps in nanoseconds, oldest first
        self._last_answer = 0.0
        # Reliable: frames lost in transport would count against the program under test.
        self._publisher = node.create_publisher(Image, f"{name}/image", IN_FLIGHT)
        node.create_subscription(PoseArray, f"{name}/poses", self._on_poses, RESULTS)
        # Published together with each frame.
        self._beside: list[tuple[Publisher[Any], Any]] = []
        if args.depth:
            self._beside = [
                (node.create_publisher(type(message), f"{name}/{topic}", IN_FLIGHT), message)
                for topic, message in _depth_and_calibration(messages[0]).items()
            ]
        self._overlay: Subscription[Any] | None = None
        self._on_answer = args.rate == 0
        self._sending = False
        self._timer = node.create_timer(1 / args.rate if args.rate else _LOST_AFTER, self._on_timer)
        self._timer.cancel()

    def is_matched(self) -> bool:
        """Whether the program subscribes to the frames."""
        return self._publisher.get_subscription_count() > 0

    def start(self, *, overlay: bool) -> None:
        """Begin to send, subscribed to the annotated image as well if `overlay`."""
        if overlay:
            topic = f"{self._name}/annotated"
            # Raw: the node does not pay for what a viewer does with a picture, and rclpy's Python
            # message would cost this process, which sends the frames, as much as sending them.
            self._overlay = self._node.create_subscription(
                Image, topic, lambda _: None, NEWEST, raw=not has_buffers()
            )
        self._sending = True
        self.reset()
        self._in_flight.clear()
        self._timer.reset()
        self._fill()

    def stop(self) -> None:
        """Send nothing more."""
        self._sending = False
        self._timer.cancel()
        if self._overlay is not None:
            self._node.destroy_subscription(self._overlay)
            self._overlay = None

    def reset(self) -> None:
        """Count from zero."""
        self.sent = 0
        self.latencies.clear()

    def _fill(self) -> None:
        """Send until enough frames are in flight."""
        while len(self._in_flight) < IN_FLIGHT:
            self._send()
        self._last_answer = monotonic()

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
        # Older frames get no answer once a newer one has.
        while self._in_flight and self._in_flight[0] <= stamp.nanoseconds:
            self._in_flight.popleft()
        if self._sending and self._on_answer:
            self._fill()

    def _on_timer(self) -> None:
        if not self._on_answer:
            self._send()
        elif monotonic() - self._last_answer > _LOST_AFTER:
            self._in_flight.clear()
            self._fill()


def main() -> int:
    """Run the rounds that standard input asks for; print each one's CameraRound as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parent", type=int, help="the process that this one ends with")
    parser.add_argument("namespace")
    parser.add_argument("pictures", type=Path, help="an array (n, height, width, 3) of BGR")
    parser.add_argument("--rate", type=float, required=True, help="0: a frame for each answer")
    parser.add_argument("--cameras", nargs="+", required=True)
    parser.add_argument("--depth", action="store_true")
    args = parser.parse_args()
    end_with(args.parent)
    tune_process()
    rclpy.init(args=[])
    node = Node("camera", namespace=args.namespace)
    executor = GuardedExecutor()
    executor.add_node(node)
    messages = [_message(picture) for picture in np.load(args.pictures)]
    cameras: dict[str, list[BenchCamera]] = {}  # by program
    for line in sys.stdin:
        request = json.loads(line)
        program = request["program"]
        if program not in cameras:
            names = (f"{program}/{name}" for name in args.cameras)
            cameras[program] = [BenchCamera(node, name, messages, args) for name in names]
        show(json.dumps(asdict(_run(executor, cameras[program], request))))
    return 0


def _run(
    executor: GuardedExecutor, cameras: Sequence[BenchCamera], request: dict[str, Any]
) -> CameraRound:
    """Run one round of `seconds` with a program; `overlay`: subscribe to its annotated image."""
    program = request["program"]
    _spin(executor, _START, lambda: all(camera.is_matched() for camera in cameras))
    for camera in cameras:
        camera.start(overlay=request["overlay"])
    # The first answers show that everything is connected and warm; they do not count.
    _spin(executor, _START, lambda: all(len(camera.latencies) > IN_FLIGHT for camera in cameras))
    if not any(camera.latencies for camera in cameras):
        sys.exit(f"the {program} did not answer within {_START:g} s")
    for camera in cameras:
        camera.reset()
    start, cpu = monotonic(), cpu_seconds(request["process"])
    _spin(executor, request["seconds"])
    found = CameraRound(
        seconds=monotonic() - start,
        sent=[camera.sent for camera in cameras],
        answered=[len(camera.latencies) for camera in cameras],
        latencies=[latency for camera in cameras for latency in camera.latencies],
        cpu_seconds=cpu_seconds(request["process"]) - cpu,
    )
    for camera in cameras:
        camera.stop()
    return found


def _spin(
    executor: GuardedExecutor, seconds: float, until: Callable[[], bool] = lambda: False
) -> None:
    end = monotonic() + seconds
    while monotonic() < end and not until():
        executor.spin_once(0.1)


def _message(picture: Any) -> Image:
    height, width, channels = picture.shape
    message = Image(height=height, width=width, step=width * channels, encoding="bgr8")
    message.header.frame_id = "camera"
    message.data = array.array("B", picture.tobytes())
    return message


def _depth_and_calibration(frame: Image) -> dict[str, Any]:
    """Return a depth image and its calibration for such frames, by topic."""
    height, width = frame.height, frame.width
    millimetres = np.full((height, width), _WALL * 1000, np.uint16)
    depth = Image(height=height, width=width, step=width * 2, encoding="16UC1")
    depth.data = array.array("B", millimetres.tobytes())
    focal = 0.8 * width  # pixels; a horizontal view of 64 degrees
    matrix = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    info = CameraInfo(height=height, width=width, k=matrix)
    return {"depth": depth, "camera_info": info}


if __name__ == "__main__":
    sys.exit(main())
