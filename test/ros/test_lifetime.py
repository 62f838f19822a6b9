# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's process starts or says why not, and ends when it is told to."""

import signal
from pathlib import Path
from time import sleep

import pytest
from peer import image_of

from kp_pose_ros.ros.process import ending_signals


def assert_ended_cleanly(node, number):
    code = node.stop(number)  # fails where that takes long
    assert code == 0, node.log
    assert "Traceback" not in node.log
    assert "rror" not in node.log.replace("ERROR", "")


@pytest.mark.skipif(signal.SIGHUP not in ending_signals(), reason="nohup started the tests")
def test_an_idle_node_ends_with_its_terminal(start_node, tiny):
    assert_ended_cleanly(start_node(model=tiny).wait_until_ready(), signal.SIGHUP)


def test_a_working_node_ends_when_told(start_node, peer, bus):
    node = start_node("-r", "__ns:=/working").wait_until_ready()
    camera = peer("working").connect()
    camera.ask(image_of(bus))
    for _ in range(20):
        camera.publisher.publish(image_of(bus))
        camera.spin_for(0.02)
    assert_ended_cleanly(node, signal.SIGTERM)


def test_a_node_that_prepares_its_network_ends_when_told(start_node, peer, bus):
    size = "1280, 1920"  # not cached yet
    node = start_node("-r", "__ns:=/preparing", imgsz=size).wait_until_ready()
    camera = peer("preparing").connect()
    camera.send_until(lambda: "preparing the network" in node.log, lambda: image_of(bus))
    assert_ended_cleanly(node, signal.SIGINT)


@pytest.mark.parametrize("delay", [0.0, 0.4, 1.6])
def test_a_starting_node_ends_when_told(start_node, tiny, delay):
    node = start_node(model=tiny)
    node.wait_until_it_handles_signals()
    sleep(delay)
    assert_ended_cleanly(node, signal.SIGINT)


def test_build_only_makes_what_it_can_and_ends_well(start_node, tiny):
    only = {"build_only": True, "imgsz": "96, 160", "engine": "onnx", "autostart": False}
    node = start_node(model=tiny, **only)
    assert node.wait() == 0
    (line,) = node.log_lines("built ")
    graph = Path(line.split("built ")[1])
    assert graph.is_file()
    assert "96x160" in graph.name


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        pytest.param({"model": "/nowhere/model.pt"}, "/nowhere/model.pt", id="missing model"),
        pytest.param({"score_threshold": 1.5}, "expected a number from 0 to 1", id="threshold"),
    ],
)
def test_a_wrong_parameter_ends_the_start_with_one_sentence(start_node, parameters, sentence):
    node = start_node(**parameters)
    assert node.wait() == 1
    (line,) = node.log_lines("[FATAL]")
    assert sentence in line
    assert "Traceback" not in node.log
