# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros demo_camera`: publishes pictures, videos or a webcam as `image`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from pathlib import Path
from time import monotonic

import cv2
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image

from kp_pose_ros.errors import FrameError, KpPoseError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.files import Source, find_sources
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.memory import keep_image_memory
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.output.cdr import ImageMessage
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.qos import NEWEST, RESULTS

_PICTURE_RATE = 10.0  # frames a second at which a still picture is sent
_SHOWN = 3.0  # seconds for which a still picture is shown
_LONGEST_PAUSE = 0.1  # seconds without a picture, where a video is decoded too slowly
_PATIENCE = 60.0  # seconds that the node has for a picture, on the slowest of machines


def main() -> int:
    """Send what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="picture, video, folder of them, or number of a webcam")
    parser.add_argument("--loop", action="store_true", help="begin anew at the end")
    parser.add_argument(
        "--answers",
        type=int,
        help=f"show a picture until so many messages on `poses` answered it, not for {_SHOWN:g} s, "
        "and begin a video when one has answered",
    )
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    keep_image_memory()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        camera = Camera(rclpy.create_node("camera"))
        unreadable = _send_all(camera, args)
        while args.loop and camera.sent:
            _send_all(camera, args)
        return 1 if unreadable else 0
    except KpPoseError as error:
        print(f"demo_camera: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Ctrl-C reaches the whole demo, which says so itself; and from `ros2 launch` comes another.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return 0
    finally:
        rclpy.shutdown()


class Camera:
    """Publishes pictures as a camera driver does.

    Attributes:
        sent: how many it has sent.
    """

    def __init__(self, node: Node) -> None:
        self.sent = 0
        self._node = node
        self._answers: Counter[str] = Counter()
        self._message = ImageMessage()
        self._publisher = node.create_publisher(Image, "image", NEWEST)
        node.create_subscription(PoseArray, "poses", self._on_poses, RESULTS)

    def show(self, name: str, picture: Pixels, answers: int) -> None:
        """Send one picture until it was answered so many times.

        Raises:
            KpPoseError: no answer comes.
        """
        deadline = monotonic() + _PATIENCE
        while self._answers[name] < answers:
            if monotonic() > deadline:
                raise KpPoseError(
                    f"the node gave {self._answers[name]} answers to {name} in {_PATIENCE:g} s: "
                    f"expected {answers}; its log says why"
                )
            self.play(name, [picture], _PICTURE_RATE)

    def play(self, name: str, pictures: Iterable[Pixels], rate: float) -> None:
        """Send pictures, `rate` of them a second.

        A picture that comes when the next one is due already is left out, as a camera would do,
        unless nothing were sent for too long.
        """
        start, sent = monotonic(), -inf
        for index, picture in enumerate(pictures):
            now = monotonic()
            if now > start + (index + 1) / rate and now < sent + _LONGEST_PAUSE:
                continue
            self.send(name, picture)
            sent = now
            due = start + (index + 1) / rate
            rclpy.spin_once(self._node, timeout_sec=0)  # also where sending takes longer than that
            while (wait := due - monotonic()) > 0:
                rclpy.spin_once(self._node, timeout_sec=wait)

    def send(self, name: str, picture: Pixels) -> None:
        """Send one picture now."""
        self.sent += 1
        stamp = self._node.get_clock().now().nanoseconds
        self._message.fill(Header(stamp, name), picture)
        rcl.publish(self._publisher, self._message.content)

    def _on_poses(self, message: PoseArray) -> None:
        self._answers[message.header.frame_id] += 1


def _send_all(camera: Camera, args: argparse.Namespace) -> int:
    """Send what the command line names; return how many files could not be read to their end.

    Raises:
        KpPoseError: there is nothing of that name, or the node does not answer.
    """
    if args.source.isdecimal():
        for picture in _webcam(int(args.source)):
            camera.send("webcam", picture)
        return 0
    names: set[str] = set()
    unreadable = 0
    for source in find_sources([Path(args.source)]):
        path = source.path
        name = path.name if path.stem in names else path.stem
        names.add(name)
        try:
            _send(camera, name, source, args.answers)
        except FrameError as error:
            unreadable += 1
            print(f"demo_camera: {error}", file=sys.stderr, flush=True)
    return unreadable


def _send(camera: Camera, name: str, source: Source, answers: int | None) -> None:
    pictures = iter(source)
    first = next(pictures)
    if source.is_video:
        if answers:  # held until the node has come up: a short video would be over by then
            camera.show(name, first, 1)
        camera.play(name, chain([first], pictures), source.frame_rate)
    elif answers:
        camera.show(name, first, answers)
    else:
        camera.play(name, [first] * round(_SHOWN * _PICTURE_RATE), _PICTURE_RATE)


def _webcam(number: int) -> Iterator[Pixels]:
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise FrameError(f"webcam {number} cannot be opened: is it there, and free?")
        while (read := capture.read())[0]:
            yield read[1]  # type: ignore[misc]
    finally:
        capture.release()


if __name__ == "__main__":
    sys.exit(main())
