# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sends hostile messages, requests, parameters and goals to our running nodes, and two signals at
once to ending ones.

A program must neither end nor fall silent, log only printable lines, grow by less than 512 MB, and
end with status 0 when it is asked to.
"""

import argparse
import importlib
import math
import os
import select
import signal
import sys
import zlib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import cv2
import numpy as np
from mutations import HOSTILE_TEXTS

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / each) for each in ("ros", "inference/tensorrt")]

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(101 + os.getpid() % 100)

import rclpy  # noqa: E402
from echo_model import write_echo_model  # noqa: E402
from node_process import PATIENCE, NodeProcess  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.action.graph import get_action_server_names_and_types_by_node  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402

from kp_pose_ros.ros.process import Ending, run_node  # noqa: E402

PROGRAMS = {  # what is started, and with which parameters
    "pose_node": {"depth.enabled": True, "always_on": True, "tracking.enabled": True},
    "activities": {},
    "event_feed": {},
    "hri_bridge": {},
    "people": {},
    "wait_for_pose": {},
}
NEEDED = {"hri_bridge": ("hri_msgs", "tf2_msgs"), "people": ("people_msgs", "tf2_msgs")}
MODULES = {"pose_node": "kp_pose_ros.ros.pose_node"}
MEGABYTES, ANSWER, SENT = 512, 10.0, 20  # s to answer; cases between two questions
NUMBERS = (0, 1, -1, 2, 7, 127, 255, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 2**64 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e30, 1e308, math.inf, -math.inf, math.nan)
TEXTS = [each for each in HOSTILE_TEXTS if each.isascii() or each == "\u202e"]
ENCODINGS = ["bgr8", "mono8", "16UC1", "32FC1", "nv12", "yuyv", "bayer_rggb16", "rgba8", "jpeg"]
LENGTHS = (0, 1, 2, 3, 17, 64, 300)


def interface(name):
    """Return the class of a message, a service or an action, such as std_msgs/msg/Header."""
    package, kind, name = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


class Maker:
    """Makes ROS messages of any type from a random generator."""

    def __init__(self, random):
        self.random = random

    def choose(self, values):
        return values[self.random.integers(len(values))]

    def message(self, kind, depth=0):
        made = kind()
        for name, field in kind.get_fields_and_field_types().items():
            if depth < 6 and self.random.random() < 0.8:
                self._set(made, name, field, depth)
        return made

    def changed(self, made):
        """Change one to three fields of a message, those of messages in it included."""
        for _ in range(self.random.integers(1, 4)):
            part = made
            while True:
                name, field = self.choose([*part.get_fields_and_field_types().items()])
                inner = getattr(part, name)
                if not hasattr(inner, "get_fields_and_field_types") or self.random.random() < 0.2:
                    break
                part = inner
            self._set(part, name, field, 3)
        return made

    def _set(self, made, name, field, depth):
        # Of what rclpy cannot send, nothing changes.
        with suppress(AssertionError, OverflowError, ValueError, TypeError):
            setattr(made, name, self._value(field, depth))

    def _value(self, field, depth):
        if field.startswith("sequence<"):
            inner = field.removeprefix("sequence<").removesuffix(">").partition(",")[0]
            length = self.choose(LENGTHS[:4] if "/" in inner else LENGTHS)
            return [self._value(inner, depth + 1) for _ in range(length)]
        if field.endswith("]"):
            inner, _, length = field.removesuffix("]").partition("[")
            return [self._value(inner, depth + 1) for _ in range(int(length))]
        if "/" in field:
            return self.message(interface(field.replace("/", "/msg/", 1)), depth + 1)
        if field.startswith(("string", "wstring")):
            return self.choose(self.choose((TEXTS, ENCODINGS, ["person", "nose", "camera"])))
        if field == "boolean":
            return bool(self.random.integers(2))
        if field.startswith(("float", "double")):
            return self.choose(FLOATS)
        if field == "octet":
            return bytes([self.random.integers(256)])
        return self._whole(field)

    def _whole(self, field):
        bits = int(field.lstrip("uint") or 8)
        number = self.choose(NUMBERS) % 2**bits
        return number if field.startswith("u") or number < 2 ** (bits - 1) else number - 2**bits


def image(encoding="bgr8"):
    from sensor_msgs.msg import Image

    made = Image(height=48, width=64, encoding=encoding, step=64 * 3, data=bytes(48 * 64 * 3))
    made.header.frame_id = "camera"
    return made


def compressed():
    from sensor_msgs.msg import CompressedImage

    picture = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    return CompressedImage(format="jpeg", data=picture)


def camera_info():
    from sensor_msgs.msg import CameraInfo

    return CameraInfo(height=48, width=64, k=[60.0, 0, 32, 0, 60, 24, 0, 0, 1])


def skeleton():
    from kp_pose_ros.msg import Skeleton

    return Skeleton(name="two", keypoint_names=["nose", "left_wrist"], class_names=["person"])


def poses():
    from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray

    person = KeypointPose(track_id=1, score=0.9, keypoints=[Keypoint(state=1), Keypoint(state=1)])
    return PoseArray(skeleton="two", image_width=64, image_height=48, poses=[person, person])


VALID = {
    "sensor_msgs/msg/Image": image,
    "sensor_msgs/msg/CompressedImage": compressed,
    "sensor_msgs/msg/CameraInfo": camera_info,
    "kp_pose_ros/msg/Skeleton": skeleton,
    "kp_pose_ros/msg/PoseArray": poses,
}


class Attacker:
    """Sends to one node."""

    def __init__(self, node, target, random):
        self._node, self._target = node, target
        self._maker = Maker(random)
        self._made = {}

    def entities(self):
        """Return what the target listens to: (how, name, type)."""
        node, target = self._node, (self._target, "/fuzz")
        ways = {
            self._publish: node.get_subscriber_names_and_types_by_node(*target),
            self._call: node.get_service_names_and_types_by_node(*target),
            self._send_goal: get_action_server_names_and_types_by_node(node, *target),
        }
        # Nothing else would be tried after a shutdown; goals come through the action's client.
        return [
            (how, name, kinds[0])
            for how, found in ways.items()
            for name, kinds in found
            if "change_state" not in name and "/_action/" not in name and "/clock" not in name
        ]

    def attack(self, entities):
        how, name, kind = self._maker.choose(entities)
        with suppress(UnicodeEncodeError, AssertionError):  # rclpy cannot send it
            how(name, kind)

    def answers(self):
        """Return whether the target still answers."""
        from rcl_interfaces.srv import ListParameters

        client = self._client(f"/fuzz/{self._target}/list_parameters", ListParameters)
        answer = client.call_async(ListParameters.Request())
        rclpy.spin_until_future_complete(self._node, answer, timeout_sec=ANSWER)
        return answer.done()

    def _publish(self, name, kind):
        publisher = self._made.get(name)
        if publisher is None:
            quality = QoSProfile(depth=5, durability=1 if kind in LATCHED_TYPES else 2)
            publisher = self._node.create_publisher(interface(kind), name, quality)
            self._made[name] = publisher
        if kind in VALID and self._maker.random.random() < 0.8:
            valid = VALID[kind]()
            publisher.publish(
                self._maker.changed(valid) if self._maker.random.random() < 0.9 else valid
            )
        else:
            publisher.publish(self._maker.message(interface(kind)))

    def _client(self, name, kind):
        if name not in self._made:
            self._made[name] = self._node.create_client(kind, name)
            self._made[name].wait_for_service(ANSWER)
        return self._made[name]

    def _call(self, name, kind):
        service = interface(kind)
        request = self._maker.message(service.Request)
        if name.endswith(("set_parameters", "set_parameters_atomically")):
            self._name_real_parameters(request.parameters)
        self._client(name, service).call_async(request)

    def _name_real_parameters(self, parameters):
        """Aim at parameters that exist; those that rclpy itself has are among them."""
        for each in parameters:
            if self._maker.random.random() < 0.8:
                each.name = self._maker.choose(KNOWN)
            each.value.type = int(self._maker.choose((*range(12), 255)))

    def _send_goal(self, name, kind):
        action = interface(kind)
        if name not in self._made:
            self._made[name] = ActionClient(self._node, action, name)
            self._made[name].wait_for_server(ANSWER)
        goal = self._maker.message(action.Goal)
        goal.timeout.sec = min(goal.timeout.sec, 1)  # so that not all wait for ever
        self._made[name].send_goal_async(goal)


LATCHED_TYPES = {"kp_pose_ros/msg/Skeleton"}
KNOWN = ["use_sim_time", "score_threshold", "model", "imgsz", "cameras", "tracking.min_hits"]
KNOWN += ["annotated.color_by", "max_poses", "robot", "start_type_description_service"]


def fuzz(program, cases, folder):
    """Return what went wrong with a program, in words."""
    parameters = dict(PROGRAMS[program])
    if program == "pose_node":
        parameters["model"] = write_echo_model(folder / "echo.onnx")
    if program == "event_feed":
        parameters["spool.folder"] = str(folder / "spool")
    module = MODULES.get(program, f"kp_pose_ros.ros.bridges.{program}")
    log = folder / f"{program}.log"
    process = NodeProcess(log, ["-r", "__ns:=/fuzz"], parameters, module)
    rclpy.init()
    node = rclpy.create_node("attacker")
    try:
        return _attack(program, process, node, cases)
    finally:
        process.kill()
        node.destroy_node()
        rclpy.shutdown()


def _attack(program, process, node, cases):
    target = {"pose_node": "kp_pose"}.get(program, program)
    attacker = Attacker(node, target, np.random.default_rng(zlib.crc32(program.encode())))
    if not attacker.answers():
        return f"it does not start: {process.log[-500:]}"
    sleep(1)
    entities, before = attacker.entities(), memory(process)
    for number in range(cases):
        attacker.attack(entities)
        if (number % SENT == 0 or number == cases - 1) and not attacker.answers():
            return f"it is silent or dead after case {number}: {process.log[-2000:]}"
    grown = (memory(process) - before) / 1024
    code = process.stop()
    ours = [line for line in process.log.splitlines() if "] [rcl]: " not in line]
    bad = [line for line in ours if not line.replace("\t", "").isprintable()]
    wrong = [f"it ended with {code}"] * bool(code) + [f"it logged {each!a}" for each in bad[:1]]
    wrong += [f"it grew by {grown:.0f} MB"] * (grown > MEGABYTES)
    print(f"{program:14} {cases:6} cases, {len(entities)} ways in, {grown:4.0f} MB", flush=True)
    return "; ".join(wrong)


def memory(process):
    """Return the largest memory that a process had, in kB."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def lost_signals(pairs):
    """Return how many of so many nodes run on after two signals at once."""
    lost = 0
    random = np.random.default_rng(0)
    for _ in range(pairs):
        receiving, sending = os.pipe()
        child = os.fork()  # importing rclpy anew would take a second each
        if child == 0:
            _run_node_in_child(sending)
        if select.select([receiving], [], [], PATIENCE)[0]:
            os.read(receiving, 1)
        sleep(random.uniform(0, 0.05))  # before, while and after it begins to wait
        for each in random.permutation([signal.SIGTERM, signal.SIGINT]):
            os.kill(child, each)
        if not _ends(child):
            lost += 1
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(receiving)
        os.close(sending)
    return lost


def _run_node_in_child(sending):
    sys.argv = ["ending"]

    def make(_: Ending):
        node = Node("ending")
        os.write(sending, b"\0")
        return node

    os._exit(run_node("ending", "Ends.", make))


def _ends(child):
    deadline = monotonic() + 20
    while monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        sleep(0.005)
    return False


def main():
    """Run; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--cases", type=int, default=2000, help="for each program")
    parser.add_argument("--pairs", type=int, default=500, help="of signals")
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS))
    args = parser.parse_args()
    lost = lost_signals(args.pairs)  # first, since it forks, and ROS starts threads
    print(f"{lost} lost signals in {args.pairs} pairs", flush=True)
    wrong = {}
    for program in args.programs:
        missing = [each for each in NEEDED.get(program, ()) if find_spec(each) is None]
        if missing:
            print(f"{program:14} left out, since there is no {missing[0]}")
            continue
        with TemporaryDirectory() as folder:
            if words := fuzz(program, args.cases, Path(folder)):
                wrong[program] = words
    for program, words in wrong.items():
        print(f"{program}: {words}")
    return 1 if wrong or lost else 0


if __name__ == "__main__":
    sys.exit(main())
