# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`ros2 run kp_pose_ros demo_camera`: publishes pictures, videos or a webcam as `image`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from math import inf
from pathlib import Path
from time import monotonic

import cv2
import rclpy
from sensor_msgs.msg import Image

from kp_pose_ros.errors import FrameError, KpPoseError, printable, run_program, show
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.files import Source, find_sources
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.tuning import tune_process
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.output.cdr import ImageWriter
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.executor import GuardedExecutor
from kp_pose_ros.ros.process import Ending, own_arguments, start_rclpy
from kp_pose_ros.ros.qos import NEWEST, RESULTS

WEBCAM = re.compile(r"\d{1,3}", re.ASCII)  # as a source
_PICTURE_RATE = 10.0  # frames a second, for a still picture
_SHOWN = 3.0  # seconds for which a still picture is shown
_LONGEST_PAUSE = 0.1  # seconds without a frame when a video decodes too slowly
_PATIENCE = 60.0  # seconds for the node to answer a picture, even on the slowest machine


class Stopped(Exception):  # noqa: N818  # no error
    """A signal has ended the camera."""


def main() -> int:
    """Publish the source on the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo_camera", description=__doc__)
    parser.add_argument("source", help="picture, video, folder of them, or number of a webcam")
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument(
        "--answers",
        type=int,
        metavar="N",
        help=f"show a picture until N messages on `poses` have answered it, instead of for "
        f"{_SHOWN:g} s; start a video after its first answer",
    )
    args = parser.parse_args(own_arguments())
    if not args.source:
        parser.error("source is empty: is a variable of the shell not set?")
    if args.answers is not None and args.answers < 1:
        parser.error(f"--answers is {args.answers}: expected 1 or more")
    return run_program("demo_camera", lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    ending = Ending()
    tune_process()
    try:
        start_rclpy()
        camera = DemoCamera(ending)
        unreadable = _send_all(camera, args)
        while args.loop and camera.sent:
            _send_all(camera, args)
        return 1 if unreadable else 0
    except Stopped:
        return 0
    finally:
        rclpy.try_shutdown()


class DemoCamera:
    """Publishes pictures as a camera driver does.

    Attributes:
        sent: the number of frames sent.
    """

    def __init__(self, ending: Ending) -> None:
        self.sent = 0
        self._ending = ending
        self._answers: Counter[str] = Counter()
        self._message = ImageWriter()
        self._node = rclpy.create_node("camera")
        self._executor = GuardedExecutor()
        self._executor.add_node(self._node)
        self._publisher = self._node.create_publisher(Image, "image", NEWEST)
        self._node.create_subscription(PoseArray, "poses", self._on_poses, RESULTS)

    def show(self, name: str, picture: Pixels, answers: int) -> None:
        """Send one picture until it has that many answers.

        Raises:
            KpPoseError: the answers do not come in time.
        """
        deadline = monotonic() + _PATIENCE
        self._answers[name] = 0
        while self._answers[name] < answers:
            if monotonic() > deadline:
                raise KpPoseError(
                    f"the node published {self._answers[name]} results for {name} in {_PATIENCE:g} "
                    f"s: expected {answers}; its log says why"
                )
            self.play(name, [picture], _PICTURE_RATE)

    def play(self, name: str, pictures: Iterable[Pixels], rate: float) -> None:
        """Send pictures at a rate in frames a second.

        A picture that is ready only when the next one is due is dropped, as a camera would do,
        unless nothing was sent for _LONGEST_PAUSE.
        """
        start, sent = monotonic(), -inf
        for index, picture in enumerate(pictures):
            due = start + (index + 1) / rate
            now = monotonic()
            if now > due and now < sent + _LONGEST_PAUSE:
                continue
            self.send(name, picture)
            sent = now
            while (wait := due - monotonic()) > 0:
                self._spin_once(wait)

    def send(self, name: str, picture: Pixels) -> None:
        """Send one picture now.

        Raises:
            Stopped: a signal was received.
        """
        self.sent += 1
        stamp = self._node.get_clock().now().nanoseconds
        self._message.fill(Header(stamp, name), picture)
        rcl.publish(self._publisher, self._message.content)
        self._spin_once(0)

    def _spin_once(self, seconds: float) -> None:
        self._executor.spin_once(min(seconds, _LONGEST_PAUSE))
        if self._ending.has_come():
            raise Stopped

    def _on_poses(self, message: PoseArray) -> None:
        if message.header.frame_id in self._answers:
            self._answers[message.header.frame_id] += 1


def _send_all(camera: DemoCamera, args: argparse.Namespace) -> int:
    """Publish the source on the command line; return how many files could not be read."""
    if WEBCAM.fullmatch(args.source):
        for picture in _webcam(int(args.source)):
            camera.send("webcam", picture)
        return 0
    names: set[str] = set()
    unreadable = 0
    for source in find_sources([Path(args.source)]):
        path = source.path
        name = printable(path.name if path.stem in names else path.stem)  # any bytes name a file
        names.add(name)
        try:
            _send(camera, name, source, args.answers)
        except FrameError as error:
            unreadable += 1
            show(f"demo_camera: {error}", file=sys.stderr)
    return unreadable


def _send(camera: DemoCamera, name: str, source: Source, answers: int | None) -> None:
    pictures = iter(source)
    first = next(pictures)
    if source.is_video:
        if answers:  # a short video would be over before the node is up
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
            raise FrameError(f"webcam {number} cannot be opened: is it connected, and not in use?")
        while (read := capture.read())[0]:
            yield read[1]  # type: ignore[misc]
        raise FrameError(f"webcam {number} sends no more images: is it still connected?")
    finally:
        capture.release()


if __name__ == "__main__":
    sys.exit(main())
