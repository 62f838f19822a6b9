# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sends hostile messages, requests, parameters, goals and lifecycle transitions to every node that
the package installs and to those of its examples, and two signals at once to ending ones.

A program must neither end nor fall silent, log only printable lines, grow by less than 512 MB, and
end with status 0 when it is asked to.
"""

import argparse
import os
import re
import select
import signal
import subprocess
import sys
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import cv2
import numpy as np
import seeds
from messages import GOALS, VALID, Maker, interface

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / each) for each in ("ros", "inference/tensorrt")]

import rclpy  # noqa: E402
import ros_fixtures  # noqa: E402, F401  gives this run a domain of its own
from echo_model import write_echo_model  # noqa: E402
from node_process import PATIENCE, NodeProcess  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.action.graph import get_action_server_names_and_types_by_node  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402

from kp_pose_ros.ros.process import Ending, run_node  # noqa: E402

ROOT = TESTS.parent


@dataclass(frozen=True)
class Program:
    """What is started.

    Attributes:
        node: the name of its node, if it is not that of the program.
        parameters: `{folder}` in a text is a folder of its own.
        arguments: its own ones.
        needed: packages without which it is left out.
    """

    node: str = ""
    parameters: dict = field(default_factory=dict)
    arguments: tuple = ()
    needed: tuple = ()


POSE_NODE = {"model": "{folder}/echo.onnx", "always_on": True, "tracking.enabled": True}
PROGRAMS = {  # those of CMakeLists.txt without an entry have nothing special
    "pose_node": Program("kp_pose", {**POSE_NODE, "depth.enabled": True}),
    "annotations": Program(needed=("foxglove_msgs",)),
    "demo_camera": Program("camera", arguments=("{folder}/picture.png", "--loop")),
    "event_feed": Program(parameters={"spool": "{folder}/spool"}),
    "hri_bridge": Program(needed=("hri_msgs", "tf2_msgs")),
    "people": Program(parameters={"frames": True}, needed=("people_msgs", "tf2_msgs")),
    "pose_node with a rig": Program(
        "kp_pose", {**POSE_NODE, "cameras": ["front", "rear"], "rig.file": "{folder}/rig.yaml"}
    ),
    "examples/who_is_there.py": Program("who_is_there"),
    "examples/raised_hand.py": Program("raised_hand"),
    "examples/follow_me.py": Program("follow_me"),
    "examples/in_process.py": Program("eyes", POSE_NODE),
}


def modules():
    """Return what is started for each program: a module, or a file."""
    table = (ROOT / "CMakeLists.txt").read_text().partition("set(executables")[2].partition(")")[0]
    found = dict(re.findall(r"(\w+)=([\w.]+):", table))
    del found["kp_pose"]  # no node
    own = {name: str(ROOT / name) for name in PROGRAMS if name.endswith(".py")}
    return {**found, "pose_node with a rig": found["pose_node"], **own}


MEGABYTES, SENT = 512, 20  # cases between two questions
STARTING, ANSWER = 60.0, 10.0  # seconds


class Attacker:
    """Sends to one node, and subscribes to what it publishes."""

    def __init__(self, node, target, random):
        self._node, self._target = node, target
        self._maker = Maker(random)
        self._made, self._read = {}, {}
        self.entities, self.seen = [], set()

    def find_entities(self):
        """Look for what the target listens to; some of it comes and goes."""
        node, target = self._node, (self._target, "/fuzz")
        for name, kinds in node.get_publisher_names_and_types_by_node(*target):
            if name not in self._read and "/_action/" not in name and name != "/rosout":
                self._read[name] = node.create_subscription(
                    interface(kinds[0]), name, lambda _: None, QoSProfile(depth=1, reliability=2)
                )
        ways = {
            self._publish: node.get_subscriber_names_and_types_by_node(*target),
            self._call: node.get_service_names_and_types_by_node(*target),
            self._send_goal: get_action_server_names_and_types_by_node(node, *target),
        }
        # Goals come through the action's client.
        self.entities = [
            (how, name, kinds[0])
            for how, found in ways.items()
            for name, kinds in found
            if "/_action/" not in name and name != "/clock"
        ]
        self.seen.update(name for _, name, _ in self.entities)

    @property
    def is_managed(self):
        return any(kind == CHANGE_STATE for _, _, kind in self.entities)

    def shut_down(self):
        """Make a managed node's last transition."""
        service = interface(CHANGE_STATE)
        request = service.Request()
        request.transition.label = "shutdown"
        name = f"/fuzz/{self._target}/change_state"
        answer = self._client(name, service).call_async(request)
        rclpy.spin_until_future_complete(self._node, answer, timeout_sec=ANSWER)

    def attack(self):
        how, name, kind = self._maker.choose(self.entities)
        with suppress(UnicodeEncodeError, AssertionError):  # rclpy cannot send it
            how(name, kind)

    def answers(self, seconds=ANSWER):
        """Return whether the target answers in time."""
        from rcl_interfaces.srv import ListParameters

        client = self._client(f"/fuzz/{self._target}/list_parameters", ListParameters)
        answer = client.call_async(ListParameters.Request())
        rclpy.spin_until_future_complete(self._node, answer, timeout_sec=seconds)
        return answer.done()

    def _publish(self, name, kind):
        publisher = self._made.get(name)
        if publisher is None:
            quality = QoSProfile(depth=5, durability=1 if kind in LATCHED_TYPES else 2)
            publisher = self._node.create_publisher(interface(kind), name, quality)
            self._made[name] = publisher
        if self._maker.random.random() < 0.05:
            publisher.publish(self._maker.choose(NO_MESSAGES))
        elif kind in VALID and self._maker.random.random() < 0.8:
            valid = VALID[kind]()
            publisher.publish(
                self._maker.changed(valid) if self._maker.random.random() < 0.9 else valid
            )
        else:
            publisher.publish(self._maker.message(interface(kind)))

    def _client(self, name, kind):
        if name not in self._made:
            self._made[name] = self._node.create_client(kind, name)
            self._made[name].wait_for_service(STARTING)
        return self._made[name]

    def _call(self, name, kind):
        service = interface(kind)
        request = self._maker.message(service.Request)
        if name.endswith(("set_parameters", "set_parameters_atomically")):
            self._name_real_parameters(request.parameters)
        if kind == CHANGE_STATE:
            self._keep_alive(request.transition)
        self._client(name, service).call_async(request)

    def _name_real_parameters(self, parameters):
        """Aim at parameters that exist; those that rclpy itself has are among them."""
        for each in parameters:
            if self._maker.random.random() < 0.8:
                each.name = self._maker.choose(KNOWN)
            each.value.type = int(self._maker.choose((*range(12), 255)))

    def _keep_alive(self, transition):
        """Make a transition one that is often possible, and none that shuts the node down."""
        if self._maker.random.random() < 0.8:
            transition.id = int(self._maker.random.integers(1, 5))
        if self._maker.random.random() < 0.8 or transition.label == "shutdown":
            transition.label = ""
        transition.id = 0 if transition.id in SHUTDOWN else transition.id

    def _send_goal(self, name, kind):
        action = interface(kind)
        if name not in self._made:
            self._made[name] = ActionClient(self._node, action, name)
            self._made[name].wait_for_server(ANSWER)
        goal = self._maker.message(action.Goal)
        if self._maker.random.random() < 0.5:
            goal = self._maker.changed(action.Goal(**self._maker.choose(GOALS[kind])))
        goal.timeout.sec = min(goal.timeout.sec, 1)  # so that not all wait for ever
        self._made[name].send_goal_async(goal)


NO_MESSAGES = [b"", b"\0", b"\0\1\0\0", b"\xff" * 40]  # what no message is serialized as
LATCHED_TYPES = {"kp_pose_ros/msg/Skeleton"}
CHANGE_STATE = "lifecycle_msgs/srv/ChangeState"
SHUTDOWN = (5, 6, 7)  # from each of three states
KNOWN = ["use_sim_time", "score_threshold", "model", "imgsz", "cameras", "tracking.min_hits"]
KNOWN += ["annotated.color_by", "max_poses", "robot", "start_type_description_service"]


def fuzz(name, module, cases, folder):
    """Return what went wrong with a program, in words."""
    program = PROGRAMS.get(name, Program())
    write_echo_model(folder / "echo.onnx")
    (folder / "rig.yaml").write_bytes(seeds.RIG)
    (folder / "front.yaml").write_bytes(seeds.CALIBRATION)
    cv2.imwrite(str(folder / "picture.png"), np.zeros((48, 64, 3), np.uint8))
    parameters = {
        key: value.format(folder=folder) if isinstance(value, str) else value
        for key, value in program.parameters.items()
    }
    arguments = [each.format(folder=folder) for each in program.arguments]
    ros = ["-r", "__ns:=/fuzz", *(["--", *arguments] if arguments else [])]
    process = NodeProcess(folder / "log", ros, parameters, module)
    rclpy.init()
    node = rclpy.create_node("attacker")
    try:
        return _attack(name, process, node, program.node or name, cases)
    finally:
        process.kill()
        node.destroy_node()
        rclpy.shutdown()


def _attack(name, process, node, target, cases):
    attacker = Attacker(node, target, np.random.default_rng(zlib.crc32(name.encode())))
    if not attacker.answers(STARTING):
        return f"it does not start: {process.log[-500:]}"
    sleep(1)
    before = memory(process)
    for number in range(cases):
        if number % SENT == 0:
            attacker.find_entities()
        attacker.attack()
        if (number % SENT == 0 or number == cases - 1) and not attacker.answers():
            return f"it is silent or dead after case {number}: {process.log[-2000:]}"
    if attacker.is_managed:
        attacker.shut_down()
    grown = (memory(process) - before) / 1024
    try:
        code = process.stop(signal.SIGTERM)  # a shell's background jobs ignore SIGINT
    except subprocess.TimeoutExpired:
        return "it does not end when it is asked to"
    ours = [line for line in process.log.splitlines() if "] [rcl]: " not in line]
    bad = [line for line in ours if not line.replace("\t", "").isprintable()]
    wrong = [f"it ended with {code}"] * bool(code) + [f"it logged {each!a}" for each in bad[:1]]
    wrong += [f"it grew by {grown:.0f} MB"] * (grown > MEGABYTES)
    dropped = Counter(re.findall(r"the callback of .* was dropped", process.log))
    for what in [each for each in dropped if " InvalidHandle " in each]:
        del dropped[what]  # a callback that the shutdown has interrupted
    if name.endswith(".py"):
        dropped.clear()  # an example keeps its lines for what it shows, and runs on
    wrong += [
        f"{what} ({count} times)" for what, count in dropped.items() if "set_parameters" not in what
    ]
    print(f"{name:24} {cases:6} cases, {len(attacker.seen)} ways in, {grown:4.0f} MB", flush=True)
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
    parser.add_argument("--programs", nargs="*", default=list(modules()))
    args = parser.parse_args()
    lost = lost_signals(args.pairs)  # first, since it forks, and ROS starts threads
    print(f"{lost} lost signals in {args.pairs} pairs", flush=True)
    wrong = {}
    for name in args.programs:
        needed = PROGRAMS.get(name, Program()).needed
        if missing := [each for each in needed if find_spec(each) is None]:
            print(f"{name:24} left out, since there is no {missing[0]}")
            continue
        with TemporaryDirectory() as folder:
            if words := fuzz(name, modules()[name], args.cases, Path(folder)):
                wrong[name] = words
    for name, words in wrong.items():
        print(f"{name}: {words}")
    return 1 if wrong or lost else 0


if __name__ == "__main__":
    sys.exit(main())
