# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as a lifecycle manager sees it, in a process of its own."""

import random
import re
import signal
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from manager import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, SHUTDOWN, WAYS, Manager
from node_process import PATIENCE
from peer import answered, image_of
from std_srvs.srv import SetBool
from test_parameter_clients import Client

from kp_pose_ros.ros.lifecycle import ManagedNode
from kp_pose_ros.ros.qos import REQUESTS

EVERY = [CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP]
NEXT = {
    "unconfigured": [CONFIGURE],
    "inactive": [ACTIVATE, CLEANUP],
    "active": [DEACTIVATE],
}
ENDING = ["unconfigured", "inactive", "finalized"]  # test_lifetime.py ends an active node
_names = (f"managed_{number}" for number in count())
PICTURE = np.zeros((64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def make(start_node, ros_node, tiny):
    """Starter of a node that waits for a manager: returns process, manager and namespace."""
    managers = []

    def start(**parameters):
        namespace = next(_names)
        parameters = {"autostart": False, "model": tiny, **parameters}
        process = start_node("-r", f"__ns:=/{namespace}", **parameters)
        managers.append(Manager(ros_node, f"/{namespace}/kp_pose"))
        return process, managers[-1], namespace

    yield start
    for manager in managers:
        manager.close()


@pytest.fixture(scope="module")
def one(make):
    return make()


@pytest.fixture
def unconfigured(one):
    """One and the same node, always in its first state."""
    manager = one[1]
    yield one
    manager.enable(True)
    if manager.state() == "active":
        manager.go(DEACTIVATE)
    if manager.state() == "inactive":
        manager.go(CLEANUP)


def topics(node, namespace):
    """Image and result topics of a pose node that exist, apart from the tests' own ends of them."""
    results = ("poses", "detections", "annotated", "annotated/compressed", "skeleton")
    found = {name for name in results if node.count_publishers(f"/{namespace}/{name}")}
    return found | ({"image"} if node.count_subscribers(f"/{namespace}/image") else set())


def test_a_node_without_autostart_waits_for_its_manager(unconfigured, peer):
    process, manager, namespace = unconfigured
    assert manager.state() == "unconfigured"
    assert topics(peer().node, namespace) == set()
    assert " runs on " not in process.log


def test_configured_it_has_results_but_no_images(unconfigured, peer):
    _, manager, namespace = unconfigured
    manager.go(CONFIGURE)
    assert manager.state() == "inactive"
    other = peer(namespace)
    other.spin_until(lambda: other.node.count_publishers(f"/{namespace}/poses"))
    assert other.publisher.get_subscription_count() == 0


def test_active_it_answers_images(unconfigured, peer):
    _, manager, namespace = unconfigured
    manager.go(CONFIGURE, ACTIVATE)
    assert manager.state() == "active"
    peer(namespace).connect().ask(image_of(PICTURE))


def test_deactivated_it_rests_and_keeps_the_engine(unconfigured, peer):
    process, manager, namespace = unconfigured
    manager.go(CONFIGURE, ACTIVATE)
    camera = peer(namespace).connect()
    camera.ask(image_of(PICTURE))
    opened = len(process.log_lines(" runs on "))
    manager.go(DEACTIVATE)
    camera.spin_until(lambda: camera.publisher.get_subscription_count() == 0)
    unheard = image_of(PICTURE)
    camera.publisher.publish(unheard)
    manager.go(ACTIVATE)
    camera.connect().ask(image_of(PICTURE))
    assert camera.answers_to(unheard) == []
    assert len(process.log_lines(" runs on ")) == opened


def test_cleaned_up_it_has_no_topics(unconfigured, peer):
    _, manager, namespace = unconfigured
    manager.go(CONFIGURE, CLEANUP)
    node = peer().node
    peer().spin_until(lambda: topics(node, namespace) == set())


def test_a_transition_may_be_asked_for_by_its_label(unconfigured):
    _, manager, _ = unconfigured
    request = ChangeState.Request(transition=Transition(label="configure"))
    assert manager.answer("change_state", request).success
    assert manager.state() == "inactive"


def test_of_two_requests_at_the_same_time_one_is_refused(ros_node):
    node, answers = ManagedNode("asked_twice", context=ros_node.context), []
    possible = node._possible

    def look():
        found = possible()
        sleep(0.1)  # so that both look before one acts
        return found

    def ask():
        try:
            node.change_state(CONFIGURE).send(None)
        except StopIteration as done:
            answers.append(done.value)

    node._possible = look
    threads = [Thread(target=ask) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    node.destroy_node()
    assert sorted(answers) == [False, True]


@pytest.mark.parametrize(
    ("way", "transition"),
    [
        pytest.param([], ACTIVATE, id="activate before configure"),
        pytest.param([CONFIGURE, ACTIVATE], CONFIGURE, id="configure once more"),
        pytest.param([CONFIGURE, ACTIVATE], CLEANUP, id="cleanup while active"),
        pytest.param([CONFIGURE], SHUTDOWN["active"], id="shutdown from another state"),
        pytest.param([], Transition.TRANSITION_ON_CONFIGURE_SUCCESS, id="not for clients"),
        pytest.param([], 99, id="a number that is none"),
    ],
)
def test_a_transition_that_is_not_possible_changes_nothing(unconfigured, way, transition):
    _, manager, _ = unconfigured
    manager.go(*way)
    before = manager.state()
    assert not manager.change(transition)
    assert manager.state() == before


def test_paused_it_receives_nothing_until_enabled(unconfigured, peer):
    _, manager, namespace = unconfigured
    manager.go(CONFIGURE, ACTIVATE)
    camera = peer(namespace).connect()
    answer = manager.enable(False)
    assert answer.success
    assert answer.message == "paused, in state 'active'"
    camera.spin_until(lambda: camera.publisher.get_subscription_count() == 0)
    manager.go(DEACTIVATE, ACTIVATE)
    camera.spin_for(0.2)
    assert camera.publisher.get_subscription_count() == 0
    manager.enable(True)
    camera.connect().ask(image_of(PICTURE))


def test_a_burst_of_requests_is_answered_as_a_whole(unconfigured, ros_node):
    client = ros_node.create_client(SetBool, f"/{unconfigured[2]}/enable", qos_profile=REQUESTS)
    pause = partial(client.call_async, SetBool.Request(data=False))
    answered(ros_node, pause)
    for answer in [pause() for _ in range(60)]:
        rclpy.spin_until_future_complete(ros_node, answer, timeout_sec=PATIENCE)
        assert answer.done()
    ros_node.destroy_client(client)


@pytest.fixture
def change(unconfigured, ros_node):
    """Setter of a parameter of this node; returns the answer."""
    client = Client(ros_node, f"/{unconfigured[2]}/kp_pose")

    def change(name, value):
        return answered(ros_node, lambda: client.set({name: value})).result

    yield change
    client.close()


def test_a_model_that_cannot_be_used_leads_back_until_the_parameter_is_mended(
    unconfigured, change, tiny
):
    process, manager, _ = unconfigured
    assert change("model", "/nowhere/model.pt").successful
    for _ in range(2):
        assert not manager.change(CONFIGURE)
        assert manager.state() == "unconfigured"
    assert len(process.log_lines("[ERROR]")) == 2
    assert all("/nowhere/model.pt" in line for line in process.log_lines("[ERROR]"))
    assert "Traceback" not in process.log
    assert change("model", str(tiny)).successful
    manager.go(CONFIGURE)
    refused = change("model", "other.pt")
    assert not refused.successful
    assert "only in the state 'unconfigured', and the node is 'inactive'" in refused.reason
    manager.go(CLEANUP)
    assert change("model", str(tiny)).successful


@pytest.mark.skipif(bool(find_spec("foxglove_msgs")), reason="this machine can read it")
def test_a_camera_that_cannot_be_read_leaves_nothing_behind(unconfigured, change, peer):
    process, manager, namespace = unconfigured
    assert change("image_transport", "foxglove").successful
    assert not manager.change(CONFIGURE)
    assert "foxglove" in process.log_lines("[ERROR]")[-1]
    node = peer().node
    peer().spin_until(lambda: topics(node, namespace) == set())
    assert change("image_transport", "raw").successful


def usage(process):
    """Threads, and bytes in memory, of a process."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return tuple(
        int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1])
        for name in ("Threads", "VmRSS")
    )


def test_random_transitions_leave_nothing_behind(make, peer):
    process, manager, namespace = make()
    camera = peer(namespace)
    generator = random.Random(5)

    def walk(steps):
        for _ in range(steps):
            # What is possible twice as often as something that may not be.
            possible = NEXT[manager.state()]
            manager.change(generator.choice(possible * 3 + EVERY))
            camera.publisher.publish(image_of(PICTURE))
            camera.spin_for(0.005)
        while (state := manager.state()) != "unconfigured":
            manager.go(DEACTIVATE if state == "active" else CLEANUP)

    walk(60)  # libraries keep what they need once
    threads, kilobytes = usage(process)
    opened = len(process.log_lines(" runs on "))
    walk(120)
    assert len(process.log_lines(" runs on ")) > opened + 10
    camera.spin_until(lambda: usage(process)[0] <= threads)  # those of the last walk may be ending
    assert usage(process)[1] - kilobytes < 8000
    camera.spin_until(lambda: topics(camera.node, namespace) == set())
    manager.go(CONFIGURE, ACTIVATE)
    camera.connect().ask(image_of(PICTURE))


@pytest.fixture(scope="module")
def one_in_each_state(make):
    """Nodes by state, started side by side."""
    started = {state: make() for state in ENDING}
    for state, (_, manager, _) in started.items():
        manager.go(*WAYS[state])
    return started


@pytest.mark.parametrize("state", ENDING)
def test_in_every_state_it_ends_when_told(one_in_each_state, state):
    process, manager, _ = one_in_each_state[state]
    assert manager.state() == state
    code = process.stop(signal.SIGTERM)
    assert code == 0, process.log
    assert "Traceback" not in process.log
