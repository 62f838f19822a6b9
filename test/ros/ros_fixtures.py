# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that run nodes; importing them sets the environment of the run."""

import fcntl
import os
import threading
from pathlib import Path
from tempfile import gettempdir

import pytest
from node_process import PATIENCE, NodeProcess

from kp_pose_ros.ros.process import use_large_images


def _lock_a_domain():
    """Return a domain that no other test process of this machine has, and its lock."""
    for offset in range(100):
        domain = 1 + (os.getpid() + offset) % 100
        try:
            lock = (Path(gettempdir()) / f"kp_pose_ros_domain_{domain}.lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another process's, or another user's
            continue
        return domain, lock
    raise RuntimeError("all domains from 1 to 100 are locked by other tests: end them first")


# Each test process has its own ROS graph, apart from all other nodes on this machine.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
_domain, _domain_lock = _lock_a_domain()
os.environ["ROS_DOMAIN_ID"] = str(_domain)
# Whole photographs are sent: the default shared memory loses them whenever a core sleeps.
use_large_images()


@pytest.fixture(scope="session")
def ros_node():
    """A node of the tests' own, to publish and subscribe with."""
    import rclpy

    rclpy.init()
    node = rclpy.create_node("rest_of_the_robot")
    yield node
    node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def fast_dds():
    """Skip with another middleware, which keeps images elsewhere."""
    import rclpy

    name = rclpy.get_rmw_implementation_identifier()
    if "fastrtps" not in name:
        pytest.skip(f"{name} has no shared memory of this kind")


@pytest.fixture
def spin(ros_node):
    """Have an executor spin a pose node of this process in a thread, until the test's end."""
    ends = []

    def spin(node, executor):
        executor.add_node(node)
        spinner = threading.Thread(target=executor.spin, daemon=True)
        spinner.start()

        def end():
            executor.shutdown(PATIENCE)
            spinner.join(PATIENCE)
            node.close(PATIENCE)
            node.destroy_node()

        ends.append(end)

    yield spin
    for end in ends:
        end()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Path of a model that costs nothing, and finds nobody."""
    from echo_model import write_echo_model

    return write_echo_model(tmp_path_factory.mktemp("model") / "echo.onnx")


@pytest.fixture(scope="module")
def start_program(tmp_path_factory):
    """Starter of our programs, by module, in processes that end with the tests of the module."""
    processes = []

    def start(module, *ros_arguments, **parameters):
        log = tmp_path_factory.mktemp("program") / "log"
        processes.append(NodeProcess(log, ros_arguments, parameters, module))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.fixture(scope="module")
def start_node(start_program, demo_weights):
    """Starter of pose_node processes."""

    def start(*ros_arguments, **parameters):
        parameters = {"model": demo_weights, **parameters}
        return start_program("kp_pose_ros.ros.pose_node", *ros_arguments, **parameters)

    return start


@pytest.fixture
def peer(ros_node):
    """Maker of the other side of a pose node, without or in a namespace."""
    from peer import Peer

    peers = []

    def make(namespace="", **options):
        peers.append(Peer(ros_node, namespace, **options))
        return peers[-1]

    yield make
    for each in peers:
        each.close()


@pytest.fixture(scope="session")
def bus(demo_photo):
    """A photograph of four people in front of a bus, of a camera's usual size: 640 x 480."""
    import cv2

    return cv2.resize(demo_photo("bus.jpg"), (640, 480), interpolation=cv2.INTER_AREA)
