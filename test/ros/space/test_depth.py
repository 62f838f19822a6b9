# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints in space and markers, from depth images sent to a node in a process of its own."""

from itertools import count
from time import monotonic

import cv2
import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from node_process import PATIENCE
from peer import image_of, stamped, values_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker, MarkerArray

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.space.depth import DepthSource
from kp_pose_ros.space.messages import camera_of

SMALL = "128, 160"  # a network that answers at once
WALL = 2.5  # metres; everything on the photograph is as far away


def wall(encoding="16UC1", size=(480, 640)):
    """A depth image of another size than the picture, if asked for."""
    dtype, unit = {"16UC1": (np.uint16, 1000), "32FC1": (np.float32, 1)}[encoding]
    return image_of(np.full(size, WALL * unit, dtype), encoding)


def calibration(**fields):
    given = {"height": 480, "width": 640, "distortion_model": "plumb_bob"}
    matrix = [525.0, 0.0, 320.0, 0.0, 525.0, 240.0, 0.0, 0.0, 1.0]
    return CameraInfo(**given | {"k": matrix, "d": [0.1, -0.05, 0.0, 0.0, 0.0]} | fields)


class DepthCamera:
    """A camera that publishes depth and camera_info beside its images."""

    def __init__(self, peer, prefix):
        self.peer = peer
        self.depth = peer.node.create_publisher(Image, f"/{prefix}/depth", 1)
        self.info = peer.node.create_publisher(CameraInfo, f"/{prefix}/camera_info", 1)

    def close(self):
        self.peer.node.destroy_publisher(self.depth)
        self.peer.node.destroy_publisher(self.info)

    def send(self, message, depth, info, *, late=0):
        """Send an image with its depth, whose stamp is some seconds off."""
        info.header = message.header
        depth.header.stamp.sec = message.header.stamp.sec - late
        depth.header.stamp.nanosec = message.header.stamp.nanosec
        self.info.publish(info)
        self.depth.publish(depth)
        self.peer.publisher.publish(message)

    def ask(self, picture, make_depth, info, timeout=PATIENCE):
        """Send frames until one is answered with places in space, and return image and answer."""
        deadline, sent = monotonic() + timeout, []
        while True:
            assert monotonic() < deadline, f"no places in {timeout} s"
            sent.append(image_of(picture))
            self.send(sent[-1], make_depth(), info)
            self.peer.spin_for(0.3)
            for message in sent:  # a busy machine answers later
                for answer in self.peer.answers_to(message):
                    if any(person.keypoints_3d for person in answer.poses):
                        return message, answer


@pytest.fixture
def camera(peer):
    """Maker of a depth camera, for the node in a namespace."""
    cameras = []

    def make(prefix, **options):
        cameras.append(DepthCamera(peer(prefix, **options), prefix))
        return cameras[-1]

    yield make
    for each in cameras:
        each.close()


@pytest.fixture(scope="module")
def node(start_node):
    return start_node("-r", "__ns:=/space", **{"depth.enabled": True}).wait_until_ready()


@pytest.mark.parametrize(
    ("encoding", "size"),
    [
        pytest.param("16UC1", (480, 640), id="millimetres"),
        pytest.param("32FC1", (480, 640), id="metres"),
        pytest.param("16UC1", (240, 424), id="smaller and of another shape than the picture"),
    ],
)
def test_keypoints_are_where_the_depth_image_has_them(node, camera, bus, encoding, size):
    front = camera("space")
    front.peer.connect()
    message, answer = front.ask(bus, lambda: wall(encoding, size), calibration())
    assert answer.header == message.header
    assert len(answer.poses) == 4
    model = camera_of(calibration())
    for person in answer.poses:
        assert len(person.keypoints_3d) == len(person.keypoints)
        pairs = zip(person.keypoints, person.keypoints_3d, strict=True)
        valid = [(k, p.position) for k, p in pairs if p.valid]
        points = np.array([(p.x, p.y, p.z) for _, p in valid]).reshape(-1, 3)
        np.testing.assert_allclose(points[:, 2], WALL, atol=1e-3)
        assert person.motion.position_valid == bool(valid)
        assert not valid or person.motion.position.z == pytest.approx(WALL, abs=1e-3)
        pixels = np.array([(k.x, k.y) for k, _ in valid]).reshape(-1, 2)
        np.testing.assert_allclose(model.project(points), pixels, atol=0.5)
    assert sum(len([p for p in each.keypoints_3d if p.valid]) for each in answer.poses) > 30


def test_an_image_without_depth_is_answered_all_the_same(node, camera, bus):
    front = camera("space")
    front.peer.connect()
    front.ask(bus, wall, calibration())
    warnings = node.log_lines("[WARN]")
    answer = front.peer.ask(image_of(bus))
    assert len(answer.poses) == 4
    assert not any(person.keypoints_3d for person in answer.poses)
    assert node.log_lines("[WARN]") == warnings, "once in a while is no reason for a warning"


def test_markers_show_whoever_has_keypoints_in_space(node, camera, bus):
    front = camera("space", results=MarkerArray, topic="markers")
    front.peer.connect()

    def shown():
        latest = front.peer.received[-1].markers if front.peer.received else ()
        return [each for each in latest if each.action == Marker.ADD]

    def people(markers):
        return {each.text for each in markers if each.type == Marker.TEXT_VIEW_FACING}

    first, sent = image_of(bus).header.stamp.sec, count()

    def send():
        # A camera of 20 Hz: images that a busy machine drops don't end a track.
        message = image_of(bus)
        seconds, twentieths = divmod(next(sent), 20)
        message.header.stamp.sec = first + seconds
        message.header.stamp.nanosec = twentieths * 50_000_000
        front.send(message, wall(), calibration())
        front.peer.spin_for(0.3)
        return len(people(shown())) == 3 and all("person " in text for text in people(shown()))

    deadline = monotonic() + PATIENCE
    while not send():
        assert monotonic() < deadline, people(shown())
    assert {each.ns for each in shown()} == {"keypoints", "limbs", "labels"}
    assert {each.header.frame_id for each in shown()} == {"camera_optical_frame"}
    depths = {point.z for each in shown() for point in each.points}
    assert depths == {WALL}


# What is wrong with a camera of this name, by what it sends instead, and what the warning says.
WRONG = {
    "zeros": ({"info": {"k": [0.0] * 9}}, "camera_info has the matrix K"),
    "lens": ({"info": {"distortion_model": "thin_prism"}}, "distortion model 'thin_prism'"),
    "larger": ({"info": {"width": 1280, "height": 960}}, "1280 x 960: expected 320 x 240, the"),
    "picture": ({"depth": {"encoding": "bgr8"}}, "encoding is 'bgr8': expected one of 16UC1"),
    "short": ({"depth": {"height": 121}}, "data has 38400 bytes: expected 38720"),
    "unregistered": ({"frame_id": "depth_frame"}, "is in the frame 'depth_frame'"),
    # So late that those of later pictures are older, too: a picture may be under way for long.
    "late": ({"late": 10_000}, "000 s older than the image: expected at most 0.02 s"),
}  # fmt: skip


def warnings_of(node, name):
    """The log lines that say what is wrong with a camera."""
    lines = [each for each in node.log_lines("no keypoints_3d from") if WRONG[name][1] in each]
    return [each for each in lines if f"camera '{name}'" in each]


@pytest.fixture(scope="module")
def wronged(start_node, ros_node, bus):
    """The log of a node whose cameras all are wrong, the answers, and the last diagnostics."""
    from peer import Peer

    options = {"cameras": list(WRONG), "imgsz": SMALL, "depth.enabled": True, "max_batch": 8}
    node = start_node("-r", "__ns:=/wrong", **options).wait_until_ready()
    cameras = {
        name: DepthCamera(Peer(ros_node, f"wrong/{name}"), f"wrong/{name}") for name in WRONG
    }
    statuses = {}

    def take(message):
        found = [each for each in message.status if each.name.startswith("wrong/")]
        statuses.update({each.name.split("'")[-2]: each for each in found if "'" in each.name})

    def is_told():
        counts = [int(values_of(each).get("without depth", 0)) for each in statuses.values()]
        levels = {each.level for each in statuses.values()}
        return len(counts) == len(WRONG) and all(counts) and DiagnosticStatus.WARN in levels

    diagnostics = ros_node.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
    for each in cameras.values():
        each.peer.connect()
    # Small enough for shared memory as Fast DDS sets it up: nobody resends what does not fit.
    small = cv2.resize(bus, (320, 240), interpolation=cv2.INTER_AREA)
    half = {"height": 240, "width": 320}
    deadline = monotonic() + PATIENCE
    # A busy executor may first miss the depth image that belongs to a picture.
    while not (all(warnings_of(node, name) for name in WRONG) and is_told()):
        assert monotonic() < deadline, (node.log, statuses)
        for name, (wrong, _) in WRONG.items():
            depth, info = wall(size=(120, 160)), calibration(**half | wrong.get("info", {}))
            for field, value in wrong.get("depth", {}).items():
                setattr(depth, field, value)
            depth.header.frame_id = wrong.get("frame_id", depth.header.frame_id)
            cameras[name].send(image_of(small), depth, info, late=wrong.get("late", 0))
        cameras["late"].peer.spin_for(0.3)
    yield node, {name: each.peer.received for name, each in cameras.items()}, statuses
    ros_node.destroy_subscription(diagnostics)
    for each in cameras.values():
        each.close()
        each.peer.close()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_depth_is_said_now_and_then_and_costs_no_pose(wronged, name):
    node, answers, _ = wronged
    lines = warnings_of(node, name)
    assert f"/wrong/{name}/depth" in lines[0]
    assert f"/wrong/{name}/camera_info" in lines[0]
    assert len(answers[name]) > len(lines)
    people = [person for answer in answers[name] for person in answer.poses]
    assert people
    assert not any(person.keypoints_3d for person in people)


def test_diagnostics_count_images_without_depth(wronged):
    _, _, statuses = wronged
    for name in WRONG:
        values = values_of(statuses[name])
        assert values["with depth"] == "0"
        assert 0 < int(values["without depth"]) <= int(values["processed"]) + 1
    assert DiagnosticStatus.WARN in {each.level for each in statuses.values()}


def test_a_camera_info_that_was_sent_once_is_heard_and_kept_over_a_pause(ros_node):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    infos = ros_node.create_publisher(CameraInfo, "/once/camera_info", latched)
    images = ros_node.create_publisher(Image, "/once/depth", 1)
    infos.publish(calibration())
    node = rclpy.create_node("lifting", namespace="once")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    source = DepthSource(node, "", label="camera", qos="auto", slop=0.1)

    def look_up():
        depth = stamped(wall())
        header = Header(nanoseconds(depth.header.stamp), depth.header.frame_id)
        source.watch()
        images.publish(depth)
        executor.spin_once(0.1)
        return source.look_up(header, (480, 640))

    for _ in range(2):
        source.start()
        source.want(True)
        deadline = monotonic() + PATIENCE
        while (found := look_up()) is None:
            assert monotonic() < deadline
        assert found[1] == camera_of(calibration())
        source.stop()
        ros_node.destroy_publisher(infos)
    ros_node.destroy_publisher(images)
    executor.shutdown()
    node.destroy_node()
