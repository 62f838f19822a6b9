# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from collections import deque
from dataclasses import replace
from itertools import count
from time import monotonic

import numpy as np
import pytest
import rclpy
from node_process import PATIENCE
from recording import VIDEO_TYPES, video, video_packets
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from kp_pose_ros.image import message
from kp_pose_ros.image.jpeg import encode_jpeg
from kp_pose_ros.image.topics import TRANSPORTS
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.pictures import Pictures
from kp_pose_ros.ros.transports import message_class

SIZE = 96, 128
_topics = (f"pictures_{number}/image" for number in count())


class Camera:
    """Pictures of a topic, and what publishes there."""

    def __init__(self, node, transport, **options):
        self.node, topic = node, next(_topics)
        kind, suffix = message_class(TRANSPORTS[transport].type_name), TRANSPORTS[transport].suffix
        self.publisher = node.create_publisher(kind, topic + suffix, 10)
        self.pictures = Pictures(node, topic, transport, **options)
        self.pictures.want(True)
        self.spin_until(self.publisher.get_subscription_count)

    def close(self):
        self.pictures.want(False)
        self.node.destroy_publisher(self.publisher)

    def spin_until(self, condition):
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline
            rclpy.spin_once(self.node, timeout_sec=0.02)

    def picture(self, header):
        """Return the picture with this header once it has arrived."""
        self.spin_until(lambda: self.pictures.at(header) is not None)
        return self.pictures.at(header)


@pytest.fixture
def camera(ros_node):
    node = Bridge("pictures", context=ros_node.context)
    made = []

    def make(transport, **options):
        made.append(Camera(node, transport, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
    node.destroy_node()


def at(second):
    header = Header(frame_id="camera")
    header.stamp.sec = second
    return header


def raw(header, encoding="bgr8", channels=3, gray=90):
    height, width = SIZE
    image = Image(header=header, height=height, width=width, encoding=encoding)
    image.step = width * channels
    image.data.frombytes(bytes([gray]) * height * image.step)
    return image


def jpeg(header):
    data = encode_jpeg(np.full((*SIZE, 3), 90, np.uint8), 95).tobytes()
    return CompressedImage(header=header, format="jpeg", data=data)


@pytest.mark.parametrize(
    ("transport", "image"),
    [
        pytest.param("raw", raw(at(5)), id="raw"),
        pytest.param("raw", raw(at(5), "mono8", 1), id="gray"),
        pytest.param("compressed", jpeg(at(5)), id="JPEG"),
    ],
)
@pytest.mark.parametrize(
    "has_buffers", [pytest.param(False, id="bytes"), pytest.param(True, id="messages, on Lyrical")]
)
def test_the_image_of_given_poses_is_found_by_its_stamp(
    camera, monkeypatch, transport, image, has_buffers
):
    if has_buffers:
        monkeypatch.setattr(rcl, "has_buffers", lambda: True)
    camera = camera(transport)
    camera.publisher.publish(image)
    picture = camera.picture(at(5))
    assert picture.shape == (*SIZE, 3)
    assert picture.mean() == pytest.approx(90, abs=2)
    assert camera.pictures.at(at(6)) is None


@pytest.fixture
def video_camera(camera, monkeypatch):
    pytest.importorskip("av")

    def make(transport):
        # A type that always is there, and has no uint8[]: Lyrical carries no bytes in those.
        stand_in = replace(TRANSPORTS[transport], type_name="std_msgs/msg/Header")
        monkeypatch.setitem(TRANSPORTS, transport, stand_in)
        monkeypatch.setattr(rcl, "has_buffers", lambda: False)
        return camera(transport)

    return make


@pytest.mark.parametrize("transport", ["ffmpeg", "foxglove"])
def test_every_picture_of_a_video_is_found(video_camera, transport):
    camera = video_camera(transport)
    packets = video_packets(g="3")[:3]
    for stamp, data in packets:
        content = video(VIDEO_TYPES[transport], data.tobytes(), stamp)
        rcl.publish(camera.publisher, np.frombuffer(content, np.uint8))
    headers = [Header() for _ in packets]
    for header, (stamp, _) in zip(headers, packets, strict=True):
        header.stamp.nanosec = stamp
    grays = [round(camera.picture(header).mean(), -1) for header in headers]
    assert grays == [20, 60, 100]


def test_after_a_lost_packet_only_pictures_since_the_next_key_frame_are_found(
    video_camera, monkeypatch
):
    camera, packets = video_camera("foxglove"), video_packets(g="3")
    messages = [video(VIDEO_TYPES["foxglove"], data.tobytes(), stamp) for stamp, data in packets]
    arrived = deque(
        (np.frombuffer(content, np.uint8), b"publisher", number)
        for number, content in enumerate(messages)
        if number != 1
    )
    monkeypatch.setattr(rcl, "take", lambda _: arrived.popleft() if arrived else None)
    headers = [Header() for _ in packets]
    for header, (stamp, _) in zip(headers, packets, strict=True):
        header.stamp.nanosec = stamp
    found = [camera.pictures.at(header) is not None for header in headers]
    assert found == [True, False, False, True, True, True]


def test_only_the_jpeg_that_is_looked_up_is_decoded(camera, monkeypatch):
    decoded = []
    decode = message.decode_compressed
    monkeypatch.setattr(
        message, "decode_compressed", lambda *given: decoded.append(1) or decode(*given)
    )
    camera = camera("compressed")
    for second in (5, 6, 7):
        camera.publisher.publish(jpeg(at(second)))
    camera.spin_until(lambda: (camera.pictures.take(), len(camera.pictures._images))[1] == 3)
    assert decoded == []
    for _ in range(2):
        assert camera.pictures.at(at(6)).shape == (*SIZE, 3)
    assert decoded == [1]


def test_a_jpeg_is_decoded_at_the_size_that_is_needed(camera):
    camera = camera("compressed", min_width=lambda _: 50)
    camera.publisher.publish(jpeg(at(5)))
    assert camera.picture(at(5)).shape == (48, 64, 3)


def test_the_oldest_images_are_forgotten(camera):
    camera = camera("raw")
    for second in range(1, 13):
        camera.publisher.publish(raw(at(second)))
        camera.picture(at(second))
    assert [camera.pictures.at(at(second)) is None for second in (1, 2, 3)] == [True, True, False]


def test_an_image_that_cannot_be_read_is_left_out(camera):
    camera = camera("raw")
    camera.publisher.publish(raw(at(5), "bgr8", 1))
    camera.publisher.publish(raw(at(6)))
    camera.picture(at(6))
    assert camera.pictures.at(at(5)) is None


def test_nothing_is_kept_while_no_images_are_wanted(camera):
    camera = camera("raw")
    camera.publisher.publish(raw(at(5)))
    camera.picture(at(5))
    camera.pictures.want(False)
    assert camera.pictures.at(at(5)) is None
    camera.spin_until(lambda: not camera.publisher.get_subscription_count())
