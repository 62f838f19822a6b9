# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of image topics, and a camera that sends video to a node of this process."""

from dataclasses import replace
from time import monotonic, sleep

import numpy as np
import pytest
import rclpy
from node_process import PATIENCE
from recording import VIDEO_TYPES, video, video_packets
from sensor_msgs.msg import CompressedImage

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.image import topics
from kp_pose_ros.image.topics import TRANSPORTS, Reader
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.parameters import RULES, Parameters
from kp_pose_ros.ros.transports import advice, depth_advice, message_class, transport_of


@pytest.mark.parametrize(
    ("topic", "parameter", "kind"),
    [
        pytest.param("/front/image", "raw", "raw", id="raw"),
        pytest.param("/front/image", "compressed", "compressed", id="compressed, as asked for"),
        pytest.param("/image/compressed", "raw", "compressed", id="the name says compressed"),
        pytest.param("/image/compressed", "compressed", "compressed", id="both say compressed"),
        pytest.param("/compressed/image", "raw", "raw", id="a namespace says compressed"),
        pytest.param("/image/ffmpeg", "raw", "ffmpeg", id="the name says ffmpeg"),
        pytest.param("/image/foxglove", "raw", "foxglove", id="the name says foxglove"),
    ],
)
def test_the_kind_of_an_image_topic(topic, parameter, kind):
    assert transport_of(topic, parameter) is TRANSPORTS[kind]


@pytest.mark.parametrize(
    ("asked", "topic", "kind"),
    [
        pytest.param("raw", "/jpeg", "compressed", id="JPEGs"),
        pytest.param("compressed", "/jpeg/compressed", "compressed", id="JPEGs, asked for"),
        pytest.param("foxglove", "/h264/foxglove", "foxglove", id="video, asked for"),
    ],
)
def test_images_of_a_topic_that_is_not_named_as_such_can_be_read_by_a_remapping(asked, topic, kind):
    base, transport = topic.removesuffix(f"/{kind}"), TRANSPORTS[kind]
    sentence = advice(TRANSPORTS[asked], topic, {base: [transport.type_name]})
    assert f"{base} has messages of the type {transport.type_name}: set" in sentence
    assert f"to '{kind}', and remap {base}/{kind} to {base}" in sentence


@pytest.mark.parametrize(
    ("topics", "phrase"),
    [
        pytest.param(
            {"/depth/compressedDepth": []}, "/depth/compressedDepth has a pub", id="depth"
        ),
        pytest.param({"/depth/compressed": []}, "/depth/compressed has a pub", id="16-bit PNGs"),
        pytest.param({"/d/compressedDepth": []}, None, id="another topic's"),
    ],
)
def test_a_depth_image_that_is_only_compressed_has_its_mend_named(topics, phrase):
    sentence = depth_advice("/depth", topics)
    if phrase is None:
        assert sentence == ""
    else:
        assert phrase in sentence
        assert "have image_transport's republish decode it to /depth" in sentence


def test_every_kind_may_be_asked_for():
    assert RULES["image_transport"].choices == tuple(TRANSPORTS)


def test_a_package_of_messages_that_is_missing_is_named_with_what_installs_it():
    with pytest.raises(SettingsError, match="apt install ros-\\$ROS_DISTRO-no-such-msgs") as error:
        message_class("no_such_msgs/msg/Packet")
    assert "the images are no_such_msgs/msg/Packet" in str(error.value)


@pytest.mark.parametrize("kind", ["ffmpeg", "foxglove"])
def test_without_pyav_video_is_refused_with_what_installs_it(monkeypatch, kind):
    monkeypatch.setattr(topics, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match="pip install av"):
        Reader(TRANSPORTS[kind])


class VideoCamera:
    """The node's camera and its driver. Serialized messages are not checked for their type."""

    def __init__(self, node, driver_node, kind):
        self._kind, self._driver_node = kind, driver_node
        self.camera = Camera(node, "", Parameters.from_values({"image_transport": kind}), None)
        self.driver = driver_node.create_publisher(CompressedImage, f"/video/image/{kind}", 10)
        self.camera.start()
        self._wait_for(self.driver.get_subscription_count)

    def close(self):
        self._driver_node.destroy_publisher(self.driver)
        self.camera.close()

    def send(self, *packets):
        for stamp, data in packets:
            content = video(VIDEO_TYPES[self._kind], data.tobytes(), stamp)
            rcl.publish(self.driver, np.frombuffer(content, np.uint8))
        sleep(0.2)  # so that they wait together, as while an engine works

    def take(self, count):
        """Take so many messages; return the images that the worker gets, as (stamp, gray)."""
        images, before = [], self.camera.counts.received

        def take_all():
            image = self.camera.receive() and self.camera.read(lambda size: size[1], None)
            if image:
                images.append((image.header.stamp, round(image.frame.pixels.mean(), -1)))
            return self.camera.counts.received - before >= count

        self._wait_for(take_all)
        return images

    def _wait_for(self, condition):
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline
            sleep(0.01)


@pytest.fixture(params=["ffmpeg", "foxglove"])
def video_camera(request, ros_node, monkeypatch):
    kind = request.param
    stand_in = replace(TRANSPORTS[kind], type_name="sensor_msgs/msg/CompressedImage")
    monkeypatch.setitem(TRANSPORTS, kind, stand_in)
    node = rclpy.create_node("watcher", namespace="video")
    made = VideoCamera(node, ros_node, kind)
    yield made
    made.close()
    node.destroy_node()


@pytest.fixture(scope="module")
def packets():
    """Packets of H.264 whose grays are 20, 60, ..., with a key frame every third."""
    pytest.importorskip("av")
    return video_packets(g="3")


def test_the_newest_picture_of_the_packets_that_came_is_looked_at(video_camera, packets):
    video_camera.send(*packets[:3])
    images = video_camera.take(3)
    assert images[-1] == (2, 100)
    counts = video_camera.camera.counts
    assert counts.received == 3 == counts.dropped + len(images)


def test_after_a_time_without_subscribers_the_video_begins_with_a_key_frame(video_camera, packets):
    video_camera.send(*packets[:1])
    assert video_camera.take(1) == [(0, 20)]
    camera = video_camera.camera
    camera.counts.processed = 1  # so that nobody wants the next one
    video_camera.send(packets[1])
    assert video_camera.take(1) == []
    assert camera.counts.unwanted == 1
    camera.always_on = True
    video_camera.send(packets[2])
    assert video_camera.take(1) == []
    assert camera.counts.dropped == 1
    video_camera.send(packets[3])
    assert video_camera.take(1) == [(3, 140)]


def test_a_packet_that_is_missing_costs_the_pictures_up_to_the_next_key_frame(
    video_camera, packets
):
    video_camera.send(packets[0])
    assert video_camera.take(1) == [(0, 20)]
    assert video_camera.camera.images.take() is None
    video_camera.send(packets[1])
    video_camera.camera.images.take()  # as if it had been lost
    video_camera.camera.images._numbers.clear()
    video_camera.send(packets[2])
    assert video_camera.take(1) == []
    video_camera.send(*packets[3:])
    assert video_camera.take(3)[-1] == (5, 220)


def test_a_damaged_packet_is_counted_and_the_video_goes_on(video_camera, packets):
    video_camera.send(packets[0])
    video_camera.take(1)
    video_camera.send((1, np.zeros(0, np.uint8)), (2, np.full(99, 7, np.uint8)), packets[3])
    assert video_camera.take(3) == [(3, 140)]
    counts = video_camera.camera.counts
    assert counts.received == 4 == sum(counts.bad.values()) + counts.dropped + 2
