# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nonsense from a camera costs the frame, a warning, and nothing else."""

import array
from time import monotonic

import cv2
import pytest
from peer import image_of, stamped
from sensor_msgs.msg import CompressedImage


@pytest.fixture(scope="module")
def node(start_node, tiny):
    robot = ("-r", "__ns:=/robot")
    return start_node(*robot, model=tiny, cameras=["front", "rear"]).wait_until_ready()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"step": 640}, id="step smaller than a row"),
        pytest.param(
            {"width": 10000, "height": 10000, "step": 30000, "data": array.array("B")},
            id="100 megapixels without data",
        ),
    ],
)  # test_images.py has more of them
def test_a_bad_frame_is_left_out_and_the_next_good_one_answered(node, peer, bus, change):
    camera = peer("robot/front").connect()
    bad = image_of(bus)
    for name, value in change.items():
        setattr(bad, name, value)
    camera.publisher.publish(bad)
    camera.spin_for(0.2)  # a newer frame would push it out
    camera.ask(image_of(bus))
    assert camera.answers_to(bad) == []


def test_one_warning_a_field_names_camera_topic_and_mend(node, peer, bus):
    camera = peer("robot/rear").connect()
    bad = image_of(bus)
    bad.step = 640
    begin = monotonic()
    camera.send_until(lambda: node.log_lines("camera 'rear': an image on"), lambda: bad)
    for _ in range(10):
        camera.publisher.publish(bad)
        camera.spin_for(0.05)
    camera.ask(image_of(bus))
    line, *others = node.log_lines("camera 'rear': an image on")
    assert len(others) <= (monotonic() - begin) // 10, "one in 10 s"
    assert "/robot/rear/image was skipped" in line
    assert "step is 640: expected at least 1920" in line


def test_damaged_compressed_frames_are_left_out(start_node, tiny, peer, bus):
    node = start_node("-r", "__ns:=/packed", model=tiny, image_transport="compressed")
    node.wait_until_ready()
    camera = peer("packed", compressed=True).connect()
    jpeg = cv2.imencode(".jpg", bus)[1].tobytes()
    camera.ask(stamped(CompressedImage(format="jpeg", data=jpeg)))
    for data in (jpeg[: len(jpeg) // 2], b"", b"not a picture"):
        bad = stamped(CompressedImage(format="jpeg", data=data))
        camera.send_until(lambda: node.log_lines("was skipped"), lambda bad=bad: bad)
        camera.publisher.publish(bad)
        camera.spin_for(0.2)  # a newer frame would push it out
        camera.ask(stamped(CompressedImage(format="jpeg", data=jpeg)))
        assert camera.answers_to(bad) == []
    assert "(format 'jpeg')" in node.log_lines("was skipped")[0]
