# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, seen through real messages."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from node_process import PATIENCE
from peer import answered, image_of, stamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.image.message import image_to_frame
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.ros.messages import poses_from_msg


@pytest.fixture(scope="module")
def node(start_node):
    return start_node().wait_until_ready()


@pytest.fixture(scope="module")
def estimator(demo_weights):
    _, estimator = make_estimator(EstimatorSettings(Path(demo_weights)))
    yield estimator
    estimator.engine.close()


@pytest.fixture(scope="module")
def people(estimator, bus):
    """The poses in the photograph."""
    (found,) = estimator.estimate([Frame(bus)])
    return found


def assert_same_poses(message, expected):
    found = poses_from_msg(message)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=0.01)
    np.testing.assert_array_equal(found.states, expected.states)


def test_the_poses_are_those_of_the_estimator(node, peer, bus, people):
    assert len(people) == 4
    assert_same_poses(peer().connect().ask(image_of(bus)), people)


def test_an_image_without_people_has_an_empty_message(node, peer):
    answer = peer().connect().ask(image_of(np.zeros((480, 640, 3), np.uint8)))
    assert len(answer.poses) == 0
    assert (answer.image_width, answer.image_height) == (640, 480)


def yuv_planes(picture, *, blue_first):
    """The half-height plane layout of nv12 (blue difference first) and nv21."""
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    height, width = picture.shape[:2]
    chroma = planar[height:].reshape(2, -1)[:: 1 if blue_first else -1]
    return np.vstack((planar[:height], chroma.T.reshape(height // 2, width)))


def packed_yuv(picture, order):
    """Two bytes a pixel: luma, and blue and red differences in turn."""
    yuv = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV)
    chroma = np.where(np.arange(picture.shape[1]) % 2, yuv[..., 2], yuv[..., 1])
    return np.dstack((chroma, yuv[..., 0]) if order == "uyvy" else (yuv[..., 0], chroma))


def bayer(picture, pattern):
    """One colour a pixel, in the order of the pattern's first two rows."""
    mosaic = np.empty(picture.shape[:2], np.uint8)
    for place, color in enumerate(pattern):
        rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
        mosaic[rows, columns] = picture[rows, columns, "bgr".index(color)]
    return mosaic


ENCODERS = {
    "rgb8": lambda picture: picture[..., ::-1],
    "bgra8": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA),
    "rgba8": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2RGBA),
    "8UC3": lambda picture: picture,
    "mono8": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
    "8UC1": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
    "mono16": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint16) << 8,
    "yuv422": lambda picture: packed_yuv(picture, "uyvy"),
    "yuv422_yuy2": lambda picture: packed_yuv(picture, "yuyv"),
    "nv12": lambda picture: yuv_planes(picture, blue_first=True),
    "nv21": lambda picture: yuv_planes(picture, blue_first=False),
    "bayer_rggb8": lambda picture: bayer(picture, "rggb"),
    "bayer_bggr8": lambda picture: bayer(picture, "bggr"),
    "bayer_gbrg8": lambda picture: bayer(picture, "gbrg"),
    "bayer_grbg8": lambda picture: bayer(picture, "grbg"),
    "bgr16": lambda picture: picture.astype(np.uint16) * 257,  # by another converter
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_every_encoding_shows_the_same_people(node, peer, bus, estimator, people, encoding):
    message = image_of(ENCODERS[encoding](bus), encoding)
    answer = peer().connect().ask(message)
    (expected,) = estimator.estimate([image_to_frame(message)])
    assert_same_poses(answer, expected)
    # The conversion itself: grey and mosaic pictures lose some detail, but nobody.
    distances = np.abs(people.boxes[:3, None] - expected.boxes).max(axis=2).min(axis=1)
    assert distances.max() < 12


def test_rows_may_be_padded(node, peer, bus, people):
    assert_same_poses(peer().connect().ask(image_of(bus, step=640 * 3 + 64)), people)


def test_detections_have_the_same_boxes_and_header(node, peer, bus, people):
    message = image_of(bus)
    answer = peer(results=Detection2DArray, topic="detections").connect().ask(message)
    widths = [each.bbox.size_x for each in answer.detections]
    np.testing.assert_allclose(widths, people.boxes[:, 2] - people.boxes[:, 0], atol=0.01)
    assert {each.results[0].hypothesis.class_id for each in answer.detections} == {"person"}


def test_the_annotated_image_is_the_image_with_drawings_on_it(node, peer, bus):
    message = image_of(bus, step=640 * 3 + 64)
    answer = peer(results=Image, topic="annotated").connect().ask(message)
    picture = image_to_frame(answer).to_bgr()
    changed = (picture != bus).any(axis=2).mean()
    assert picture.shape == bus.shape
    assert 0.01 < changed < 0.3


def test_the_skeleton_is_there_for_who_comes_late(node, peer):
    received = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    other = peer()
    late = other.node.create_subscription(SkeletonMsg, "/skeleton", received.append, latched)
    other.spin_until(lambda: received)
    other.node.destroy_subscription(late)
    assert received[0].name == "coco17"
    assert len(received[0].keypoint_names) == 17
    assert list(received[0].class_names) == ["person"]


def test_the_newest_of_many_frames_is_always_answered(node, peer, bus):
    camera = peer().connect()
    camera.ask(image_of(bus))
    sent = [image_of(bus) for _ in range(60)]
    for message in sent:
        camera.publisher.publish(message)
        camera.spin_for(0.005)
    camera.spin_until(lambda: camera.answers_to(sent[-1]))
    stamps = [answer.header.stamp.sec for answer in camera.received]
    assert stamps == sorted(stamps)
    assert len(stamps) < len(sent)


@pytest.fixture
def set_number(ros_node):
    """Set a parameter of the pose node as another process does; return whether it was accepted."""
    client = ros_node.create_client(SetParameters, "/kp_pose/set_parameters")

    def set_number(name, value):
        assert client.wait_for_service(PATIENCE)
        number = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=number)])
        answer = answered(ros_node, lambda: client.call_async(request))
        return answer.results[0].successful

    yield set_number
    ros_node.destroy_client(client)


def test_a_threshold_changes_while_the_node_runs(node, peer, bus, set_number):
    camera = peer().connect()
    for threshold, people in ((0.999, 0), (0.25, 4)):
        assert set_number("score_threshold", threshold)
        assert len(camera.ask(image_of(bus)).poses) == people


@pytest.fixture(scope="module")
def packed(start_node):
    """Namespace of a node that reads compressed images, and sends small ones."""
    start_node(
        *("-r", "__ns:=/packed", "-p", "annotated.max_width:=320"), image_transport="compressed"
    )
    return "packed"


@pytest.mark.parametrize(
    ("suffix", "size"),
    [
        pytest.param(".jpg", (640, 480), id="JPEG"),
        pytest.param(".png", (640, 480), id="PNG"),
        pytest.param(".jpg", (2560, 1920), id="JPEG that is decoded at a quarter of its size"),
    ],
)
def test_compressed_images_show_the_same_people(packed, peer, bus, estimator, suffix, size):
    large = cv2.resize(bus, size)
    data = cv2.imencode(suffix, large)[1].tobytes()
    answer = peer(packed, compressed=True).connect().ask(stamped(CompressedImage(data=data)))
    (expected,) = estimator.estimate([Frame(large)])
    assert (answer.image_width, answer.image_height) == size
    found = poses_from_msg(answer)
    assert len(found) == len(expected) == 4
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=size[0] / 100)


def test_a_compressed_annotated_image_is_as_wide_as_asked_for(packed, peer, bus):
    message = stamped(CompressedImage(data=cv2.imencode(".png", bus)[1].tobytes()))
    viewer = peer(packed, results=CompressedImage, topic="annotated/compressed", compressed=True)
    answer = viewer.connect().ask(message)
    assert answer.format == "bgr8; jpeg compressed bgr8"
    picture = cv2.imdecode(np.array(answer.data), cv2.IMREAD_COLOR)
    changed = np.abs(picture.astype(int) - cv2.resize(bus, (320, 240))).max(axis=2) > 90
    assert picture.shape == (240, 320, 3)
    assert 0.01 < changed.mean() < 0.5


def test_several_cameras_have_topics_of_their_own(start_node, peer, bus):
    start_node("-r", "__ns:=/robot", cameras=["front", "rear"], max_batch=2)
    front, rear = peer("robot/front").connect(), peer("robot/rear").connect()
    nobody = np.zeros((240, 320, 3), np.uint8)
    for _ in range(3):
        here, there = image_of(bus), image_of(nobody)
        rear.publisher.publish(there)
        assert len(front.ask(here).poses) == 4
        assert len(rear.ask(there).poses) == 0


def test_two_nodes_in_namespaces_do_not_disturb_each_other(node, packed, peer, bus):
    one, two = peer().connect(), peer(packed, compressed=True).connect()
    assert len(one.ask(image_of(bus)).poses) == 4
    assert two.received == []
    message = stamped(CompressedImage(data=cv2.imencode(".png", bus)[1].tobytes()))
    assert len(two.ask(message).poses) == 4
    assert one.answers_to(message) == []
