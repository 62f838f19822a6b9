# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with the TensorRT engine, on a GPU that checks the rules."""

import sys
import threading

import cv2
import numpy as np
import pytest
from echo_model import write_echo_model
from node_process import PATIENCE
from peer import image_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from simulated_gpu import engines, kernel_on_cpu, machine

from kp_pose_ros.errors import GpuLostError
from kp_pose_ros.ros.pose_node import PoseNode

__all__ = ["engines", "kernel_on_cpu", "machine"]


@pytest.fixture
def start(ros_node, engines, machine):
    """Starter of a node; at the end nothing of it may be left on the GPU."""
    nodes = []

    def start_one(on_failure=None, **parameters):
        found = []
        node = PoseNode(
            namespace="gpu",
            on_failure=on_failure,
            on_poses=lambda camera, poses, *_: found.append(poses),
            parameter_overrides=[
                Parameter(name, value=value)
                for name, value in {"engine": "tensorrt", "precision": "fp32", **parameters}.items()
            ],
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        nodes.append((node, executor))
        return node, found

    yield start_one
    for node, executor in nodes:
        executor.shutdown(PATIENCE)
        assert node.close(PATIENCE)
        node.destroy_node()
    if machine.lost is None:  # else all that the driver allows is to end the process
        assert machine.blocks == {}
        assert not machine.context_is_retained


def test_the_people_in_a_yuv_camera_s_images_are_found(start, peer, bus, demo_weights):
    yuv = cv2.cvtColor(bus, cv2.COLOR_BGR2YUV)
    chroma = np.where(np.arange(bus.shape[1]) % 2, yuv[..., 2], yuv[..., 1])
    message = image_of(np.dstack((yuv[..., 0], chroma)), "yuv422_yuy2")
    _, found = start(model=str(demo_weights))
    peer("gpu", results=None).connect().send_until(lambda: len(found) > 1, lambda: message)
    assert {len(poses) for poses in found} == {4}


def test_a_lost_gpu_ends_the_node_with_a_sentence(start, peer, machine, tmp_path):
    failures = []
    _, found = start(
        model=str(write_echo_model(tmp_path / "echo.onnx")), on_failure=failures.append
    )
    camera = peer("gpu", results=None).connect()
    picture = np.zeros((64, 96, 3), np.uint8)
    camera.send_until(lambda: found, lambda: image_of(picture))
    machine.faults["Event.synchronize"] = [sys.modules["pycuda.driver"].LaunchError("lost")]
    camera.send_until(lambda: failures, lambda: image_of(picture))
    assert isinstance(failures[0], GpuLostError)
    assert "lost" in str(failures[0])
