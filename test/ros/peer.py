# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import array
from itertools import count
from time import monotonic

import numpy as np
import rclpy
from kp_pose_ros.msg import PoseArray
from node_process import PATIENCE
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

_stamps = count(1_700_000_000)


def image_of(picture, encoding="bgr8", step=None):
    """An Image message of an array (rows, columns[, channels]), with padded rows if `step` says."""
    rows, columns = picture.shape[:2]
    packed = np.ascontiguousarray(picture).view(np.uint8).reshape(rows, -1)
    if step is not None:
        packed = np.hstack((packed, np.full((rows, step - packed.shape[1]), 255, np.uint8)))
    height = rows * 2 // 3 if encoding in ("nv12", "nv21") else rows
    message = Image(height=height, width=columns, encoding=encoding, step=packed.shape[1])
    message.data = array.array("B", packed.tobytes())
    return stamped(message)


def stamped(message, frame_id="camera_optical_frame"):
    """Give a message a stamp that no other message of this run has."""
    message.header.stamp.sec, message.header.stamp.nanosec = next(_stamps), 123456789
    message.header.frame_id = frame_id
    return message


def values_of(status):
    """The values of a DiagnosticStatus by key."""
    return {each.key: each.value for each in status.values}


def answered(node, ask):
    """Ask, again each second, until there is an answer; return it.

    A server may hear a question before it knows where the answer goes, which then gets lost.

    Args:
        node: the client's.
        ask: asks, and returns the future of the answer.
    """
    futures, deadline = [], monotonic() + PATIENCE
    while not any(each.done() for each in futures):
        assert monotonic() < deadline, "no answer"
        futures.append(ask())
        rclpy.spin_until_future_complete(node, futures[-1], timeout_sec=1)
    return next(each for each in futures if each.done()).result()


def greet(node, client, refused_goal):
    """Send an action server goals that it refuses, until it knows where the answers go."""
    assert client.wait_for_server(PATIENCE)
    handle = answered(node, lambda: client.send_goal_async(refused_goal))
    answered(node, handle.get_result_async)


class Peer:
    """The other side of a pose node: its camera, and consumers of what it publishes."""

    def __init__(
        self,
        node,
        namespace="",
        *,
        results=PoseArray,
        topic="poses",
        compressed=False,
        reliability=ReliabilityPolicy.RELIABLE,
    ):
        self.node = node
        self.received = []
        prefix = f"/{namespace}/" if namespace else "/"
        kind, image = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        self.image_topic = prefix + image
        camera = QoSProfile(depth=1, reliability=reliability)
        self.publisher = node.create_publisher(kind, self.image_topic, camera)
        self.subscription = (
            node.create_subscription(results, prefix + topic, self.received.append, 10)
            if results
            else None
        )

    def close(self):
        self.node.destroy_publisher(self.publisher)
        if self.subscription:
            self.node.destroy_subscription(self.subscription)

    def spin_until(self, condition, timeout=PATIENCE, tell=lambda: "nothing"):
        """Spin until something holds; `tell` says what there is if it never does."""
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"{tell()} in {timeout} s"
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return condition()

    def spin_for(self, seconds):
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.02)

    def connect(self):
        """Wait until the node's subscription has matched our publisher, and its publisher ours."""
        self.spin_until(
            lambda: all(self._matches()),
            tell=lambda: f"subscribers and publishers of the node: {self._matches()}",
        )
        return self

    def _matches(self):
        results = [self.subscription.get_publisher_count()] if self.subscription else []
        return [self.publisher.get_subscription_count(), *results]

    def send_until(self, condition, make_message, timeout=PATIENCE):
        """Send new frames at 20 Hz until something has happened."""
        deadline = monotonic() + timeout
        while not condition():
            assert monotonic() < deadline, f"nothing in {timeout} s"
            self.publisher.publish(make_message())
            self.spin_for(0.05)

    def answers_to(self, message):
        return [each for each in self.received if each.header == message.header]

    def ask(self, message, timeout=PATIENCE):
        """Send a frame, again and again if it gets lost, and return the first answer to it."""
        again = 0.0
        deadline = monotonic() + timeout
        while not self.answers_to(message):
            assert monotonic() < deadline, f"no answer in {timeout} s"
            if monotonic() > again:
                self.publisher.publish(message)
                again = monotonic() + 2.0
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return self.answers_to(message)[0]
