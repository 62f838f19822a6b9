# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot's day in minutes: does the node's memory, or the number of its threads or files, grow?

    tools/in_ros_env python3 test/day/day.py [--frames N] [--minutes M]

Four cameras send tiny images with simulated time to a node whose engine is a stub, as fast as they
are answered: 2 million of them are a day at 6 Hz. Cameras restart with another QoS, clocks jump and
stand still, clients change parameters, subscribe to annotated images and leave again. It fails if
the second half of the day needs more than the first.
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from time import monotonic

sys.path += [str(Path(__file__).parents[1] / each) for each in ("bench", "inference/tensorrt")]

import numpy as np
import rclpy
from echo_model import METADATA, write_echo_model
from kp_pose_ros.msg import PoseArray
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from stub_bench import StubEngine

from kp_pose_ros.inference import factory
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.ros import pose_node, rcl

CAMERAS = ("front", "left", "right", "rear")
DAY = 86_400  # seconds
STAMP = slice(4, 12)  # of a serialized message whose first field is a header
PATIENCE = 0.2  # seconds; then an image or its answer is lost
SIZE = 32, 32  # of images, in pixels
ROWS = 20
MORE_MEGABYTES = 8  # that are no growth: what an allocator happens to keep
VALUES = {
    "score_threshold": (0.25, 0.4),
    "tracking.smoothing": (0.0, 1.0),
    "tracking.predict_ms": (0.0, 200.0),
    "annotated.color_by": ("part", "track"),
    "always_on": (False, True),
}
# How many rounds lie between two events of a kind; a round is one image of each camera.
PARAMETERS, RESTART, JUMP, WATCH, STOP_WATCHING = 2_000, 5_000, 20_000, 10_000, 500


class CrowdEngine(StubEngine):
    """Finds up to three people, who come and go."""

    seconds = 0.0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._count, random = itertools.count(), np.random.default_rng(0)
        self._people = [[people_in(number, random) for _ in range(50)] for number in range(4)]

    def submit(self, frames):
        answer, letterbox = Future(), Letterbox.fit(SIZE, SIZE)
        answer.set_result([Candidates(self._rows(), letterbox) for _ in frames])
        return answer

    def _rows(self):
        count = next(self._count)
        return self._people[count // 500 % 4][count % 50].copy()


def people_in(number, random):
    """The rows of so many people beside each other, whose keypoints are anywhere on them."""
    rows = np.zeros((number, 57), np.float32)
    left = 8 * np.arange(number)[:, None]
    rows[:, :4] = left * (1, 0, 1, 0) + (0, 4, 7, 28)
    rows[:, 4] = 0.9
    points = rows[:, 6:].reshape(number, 17, 3)
    points[...] = random.uniform((0, 4, 0), (7, 28, 1), (number, 17, 3))
    points[..., 0] += left
    return rows


class Camera:
    """One camera's driver, and a subscriber to its poses."""

    def __init__(self, node, name):
        self._node, self._name = node, name
        height, width = SIZE
        image = Image(height=height, width=width, encoding="bgr8", step=3 * width)
        image.data = bytes(height * 3 * width)
        self._image = np.frombuffer(serialize_message(image), np.uint8).copy()
        self._reliabilities = itertools.cycle((ReliabilityPolicy.BEST_EFFORT, None))
        self._publisher = None
        self.poses = node.create_subscription(PoseArray, f"/{name}/poses", lambda _: None, 10)
        self.annotated = None
        self.sent = self.answers = 0
        self._wait_set = rcl.WaitSet(node.context)

    def restart(self):
        """Begin to publish, with another reliability than before."""
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)
        reliability = next(self._reliabilities) or ReliabilityPolicy.RELIABLE
        qos = QoSProfile(depth=1, reliability=reliability)
        self._publisher = self._node.create_publisher(Image, f"/{self._name}/image", qos)

    def is_heard(self):
        return self._publisher.get_subscription_count() > 0

    def send(self, stamp):
        self._image[STAMP] = np.array(divmod(stamp, 10**9), np.uint32).view(np.uint8)
        rcl.publish(self._publisher, self._image)
        self.sent += 1

    def wait_for_answer(self):
        """Wait for the poses in the latest image; it may have been lost."""
        if self.sent and self._wait_set.wait([self.poses], PATIENCE):
            while rcl.take(self.poses):
                self.answers += 1
        while self.annotated is not None and rcl.take(self.annotated):
            pass

    def watch(self, is_watching):
        """Subscribe to the annotated images, or end that."""
        if is_watching:
            self.annotated = self._node.create_subscription(
                Image, f"/{self._name}/annotated", lambda _: None, 1
            )
        elif self.annotated is not None:
            self._node.destroy_subscription(self.annotated)
            self.annotated = None


class Day:
    """The day, in rounds."""

    def __init__(self, node, process, rounds):
        self.node, self.process, self.rounds = node, process, rounds
        self.cameras = [Camera(node, name) for name in CAMERAS]
        self.events = 0
        self.stamp = 1_700_000_000 * 10**9
        self._step = DAY * 10**9 // rounds
        self._clock = node.create_publisher(Clock, "/clock", 1)
        self._client = node.create_client(SetParameters, "/kp_pose/set_parameters")
        self._random = np.random.default_rng(1)

    def begin(self):
        for camera in self.cameras:
            camera.restart()
        assert self._client.wait_for_service(60), "the node does not start"
        self._wait_until_heard()

    @property
    def sent(self):
        return sum(camera.sent for camera in self.cameras)

    def round(self, number):
        """Send the next image of each camera, as soon as its last one has been answered.

        So the node always has something to do.
        """
        self._have_an_event(number)
        self.stamp += self._step if number % JUMP > 20 else 0  # else stamps stand still
        if number % 10 == 0:
            clock = Clock()
            clock.clock.sec, clock.clock.nanosec = divmod(self.stamp, 10**9)
            self._clock.publish(clock)
        for camera in self.cameras:
            camera.wait_for_answer()
            camera.send(self.stamp)

    def usage(self):
        """Return megabytes, threads and open files of the node."""
        assert self.process.poll() is None, "the node has ended"
        folder = Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        files = len(list((folder / "fd").iterdir()))
        return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), files

    def _have_an_event(self, number):
        camera = self.cameras[number // RESTART % len(self.cameras)]
        if number % PARAMETERS == 0:
            name = self._random.choice(sorted(VALUES))
            value = VALUES[name][self._random.integers(2)]
            self._set(name, value)
        if number % RESTART == 1:
            camera.restart()
            self._wait_until_heard()
        if number % JUMP == 2:
            self.stamp += 3_600 * 10**9 if number // JUMP % 2 else -1_800 * 10**9
        if number % WATCH in (3, STOP_WATCHING):
            camera.watch(number % WATCH == 3)
        self.events += number % PARAMETERS == 0 or number % RESTART == 1 or number % JUMP == 2

    def _set(self, name, value):
        parameter = Parameter(name, value=value).to_parameter_msg()
        answer = self._client.call_async(SetParameters.Request(parameters=[parameter]))
        rclpy.spin_until_future_complete(self.node, answer, timeout_sec=20)
        assert answer.done(), f"no answer to a new value of {name}"
        assert answer.result().results[0].successful, answer.result()

    def _wait_until_heard(self):
        deadline = monotonic() + 60
        while not all(camera.is_heard() for camera in self.cameras):
            assert monotonic() < deadline, "the node does not subscribe"
            rclpy.spin_once(self.node, timeout_sec=0.01)


def live(day, minutes):
    """Live through the day, or so many minutes of it; return the usage at each twentieth."""
    print("| frames | answered | events | hours | MB | threads | files | frames/s |")
    print("|---|---|---|---|---|---|---|---|")
    begin, usages = monotonic(), []
    for number in range(1, day.rounds + 1):
        day.round(number)
        seconds = monotonic() - begin
        done = max(number / day.rounds, seconds / (60 * minutes))
        if done * ROWS >= len(usages) + 1:
            usages.append(day.usage())
            answers = sum(camera.answers for camera in day.cameras)
            memory, threads, files = usages[-1]
            print(
                f"| {day.sent} | {answers} | {day.events} | {number / day.rounds * 24:.1f} "
                f"| {memory:.1f} | {threads} | {files} | {day.sent / seconds:.0f} |",
                flush=True,
            )
        if done >= 1:
            break
    return usages


def judge(usages):
    """Return what the second half of the day needs more than the first."""
    half = len(usages) // 2
    names, limits = ("MB of memory", "threads", "open files"), (MORE_MEGABYTES, 0, 0)
    more = np.max(usages[half:], axis=0) - np.max(usages[:half], axis=0)
    return [
        f"{each:.1f} more {name}"
        for each, name, limit in zip(more, names, limits, strict=True)
        if each > limit
    ]


def lines_of(said):
    """Return the kinds of lines that were logged, and how often each came."""
    texts = [re.sub(r"\d[\d.:]*", "#", line) for line in said.splitlines()]
    return [f"{count:6} x {text}" for text, count in Counter(texts).most_common(40)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2_000_000)
    parser.add_argument("--minutes", type=float, default=1e9, help="end after so many minutes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        METADATA["imgsz"] = "[32, 32]"
        model = write_echo_model(Path(folder) / "echo.onnx")
        parameters = {"model": model, "engine": "onnx", "imgsz": "32, 32", "use_sim_time": True}
        words = [f"{name}:={value}" for name, value in parameters.items()]
        words.append(f"cameras:=[{', '.join(CAMERAS)}]")
        command = [sys.executable, __file__, "node", "--ros-args"]
        command += [word for each in words for word in ("-p", each)]
        rclpy.init()
        log = Path(folder) / "log"
        with log.open("w") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream)
        try:
            day = Day(rclpy.create_node("day"), process, arguments.frames // len(CAMERAS))
            day.begin()
            growth = judge(live(day, arguments.minutes))
        finally:
            process.terminate()
            process.wait()
            said = log.read_text()
            print(f"the node ended with {process.returncode} and logged", *lines_of(said), sep="\n")
    print("; ".join(growth) or "nothing grew")
    return bool(growth or process.returncode or "Traceback" in said)


if __name__ == "__main__":
    if sys.argv[1:2] == ["node"]:
        del sys.argv[1]
        factory._MAKERS["onnx"] = CrowdEngine
        sys.exit(pose_node.main())
    sys.exit(main())
