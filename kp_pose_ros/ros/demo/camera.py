# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros demo_camera`: publishes pictures, videos or a webcam as `image`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic

import cv2
import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp_pose_ros.errors import FrameError, KpPoseError
from kp_pose_ros.frame import Pixels
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.ros.images import PictureMessage
from kp_pose_ros.ros.memory import keep_image_memory
from kp_pose_ros.ros.qos import NEWEST, RESULTS
from kp_pose_ros.sources import find_sources

_PICTURE_RATE = 10.0  # frames a second at which a still picture is sent
_WEBCAM_RATE = 100.0  # never reached: the device sets the pace
_SHOWN = 3.0  # seconds for which a still picture is shown
_PATIENCE = 60.0  # seconds that the node has for a picture, on the slowest of machines


def main() -> int:
    """Send what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="picture, video, folder of them, or number of a webcam")
    parser.add_argument("--loop", action="store_true", help="begin anew at the end")
    parser.add_argument(
        "--answers",
        type=int,
        help=f"show a picture until so many messages on `poses` answered it, not for {_SHOWN:g} s",
    )
    args = parser.parse_args(remove_ros_args(sys.argv)[1:])
    keep_image_memory()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        camera = Camera(rclpy.create_node("camera"))
        _send_all(camera, args)
        while args.loop:
            _send_all(camera, args)
    except KpPoseError as error:
        print(f"demo_camera: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Ctrl-C reaches the whole demo, which says so itself; and from `ros2 launch` comes another.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    finally:
        rclpy.shutdown()
    return 0


class Camera:
    """Publishes pictures as a camera driver does."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._answers: Counter[str] = Counter()
        self._message = PictureMessage()
        self._publisher = node.create_publisher(Image, "image", NEWEST)
        node.create_subscription(PoseArray, "poses", self._on_poses, RESULTS)

    def show(self, name: str, picture: Pixels, answers: int) -> None:
        """Send one picture until it was answered so many times.

        Raises:
            FrameError: no answer comes.
        """
        deadline = monotonic() + _PATIENCE
        while self._answers[name] < answers:
            if monotonic() > deadline:
                raise FrameError(
                    f"the node gave {self._answers[name]} answers to {name} in {_PATIENCE:g} s: "
                    f"expected {answers}; its log says why"
                )
            self.play(name, [picture], _PICTURE_RATE)

    def play(self, name: str, pictures: Iterable[Pixels], rate: float) -> None:
        """Send each picture once, at most `rate` of them a second."""
        due = monotonic()
        for picture in pictures:
            stamp = self._node.get_clock().now().to_msg()
            self._message.fill(Header(stamp=stamp, frame_id=name), picture)
            self._publisher.publish(self._message.message)
            due = max(due + 1 / rate, monotonic())
            while (wait := due - monotonic()) > 0:
                rclpy.spin_once(self._node, timeout_sec=wait)

    def _on_poses(self, message: PoseArray) -> None:
        self._answers[message.header.frame_id] += 1


def _send_all(camera: Camera, args: argparse.Namespace) -> None:
    if args.source.isdecimal():
        camera.play("webcam", _webcam(int(args.source)), _WEBCAM_RATE)
        return
    names: set[str] = set()
    for source in find_sources([Path(args.source)]):
        path = source.path
        name = path.name if path.stem in names else path.stem
        names.add(name)
        if source.is_video:
            camera.play(name, source, source.frame_rate)
        else:
            (picture,) = source
            if args.answers:
                camera.show(name, picture, args.answers)
            else:
                camera.play(name, [picture] * round(_SHOWN * _PICTURE_RATE), _PICTURE_RATE)


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
