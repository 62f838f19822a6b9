# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`poses_3d` of a whole node whose engine sees people at known places."""

import sys
from concurrent.futures import Future
from copy import deepcopy
from itertools import count
from time import monotonic
from types import SimpleNamespace

import fake_tf2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from echo_model import write_echo_model
from geometry_msgs.msg import TransformStamped
from kp_pose_ros.msg import Keypoint, PoseArray, Skeleton
from node_process import PATIENCE
from peer import image_of
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from room import ROOM, people, seen_by
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from kp_pose_ros.image.cdr import CdrReader, Header
from kp_pose_ros.inference import factory
from kp_pose_ros.inference.decode import Candidates
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.pose_node import PoseNode
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.ros.space import poses_3d
from kp_pose_ros.ros.space.poses_3d import Poses3DTopic
from kp_pose_ros.skeleton import Skeleton as BuiltIn
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.rig import Viewpoint
from kp_pose_ros.timing import StageTimes

SIZE = (90, 160)  # of images: small, since nobody looks at their pixels
SMALL = CameraModel(SIZE, np.array((100.0, 0, 80, 0, 100, 45, 0, 0, 1)))
NAMES = ("left", "right", "back")
RIG = {name: Viewpoint(SMALL, view.pose) for name, view in zip(NAMES, ROOM, strict=True)}
JOINTS = people(2, 1)
SECOND = 10**9
_namespaces = (f"joined_{number}" for number in count())


def picture_of(name):
    """A picture that tells the engine below which camera took it."""
    return np.full((*SIZE, 3), NAMES.index(name), np.uint8)


class KnowingEngine:
    """Sees in a camera's picture what the camera would see of the room."""

    name = "knowing"
    overlaps = False

    def __init__(self, model, settings, *_):
        self.max_batch = settings.max_batch
        self.times = StageTimes()
        self._rows = []
        for view in RIG.values():
            poses = seen_by(view, JOINTS)
            parts = (poses.boxes, [[0.9]] * 2, [[0]] * 2, poses.keypoints.reshape(2, -1))
            self._rows.append(np.concatenate(parts, axis=1).astype(np.float32))

    def submit(self, frames):
        pending = Future()
        rows = [self._rows[frame.pixels[0, 0, 0]] for frame in frames]
        pending.set_result([Candidates(each, Letterbox.fit(SIZE, SIZE)) for each in rows])
        return pending

    def close(self):
        pass


@pytest.fixture
def write_rig(tmp_path):
    def write(*names, **pose):
        cameras = {}
        for name in names:
            rotation = Rotation.from_matrix(RIG[name].pose[:3, :3]).as_quat().tolist()
            place = RIG[name].pose[:3, 3].tolist()
            camera = {"translation": place, "rotation": rotation, "calibration": "camera.yaml"}
            cameras[name] = camera | deepcopy(pose)  # YAML would write a shared one as an alias
        calibration = {
            "image_height": SIZE[0],
            "image_width": SIZE[1],
            "camera_matrix": {"data": SMALL.matrix.ravel().tolist()},
            "distortion_model": "plumb_bob",
            "distortion_coefficients": {"data": [0.0] * 5},
        }
        (tmp_path / "camera.yaml").write_text(yaml.safe_dump(calibration))
        path = tmp_path / "rig.yaml"
        path.write_text(yaml.safe_dump({"frame_id": "room", "cameras": cameras}))
        return str(path)

    return write


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_echo_model(tmp_path_factory.mktemp("model") / "echo.onnx"))


@pytest.fixture
def start(spin, model, monkeypatch):
    """Starter of a node with the engine above, in an executor of its own; returns its namespace."""
    monkeypatch.setitem(factory._MAKERS, "onnx", KnowingEngine)

    def start(on_failure=None, **parameters):
        namespace = next(_namespaces)
        given = {"model": model, "engine": "onnx", "cameras": NAMES} | parameters
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        node = PoseNode(namespace=namespace, parameter_overrides=overrides, on_failure=on_failure)
        spin(node, SingleThreadedExecutor())
        return namespace

    return start


class Robot:
    """Cameras, and a consumer of poses_3d."""

    def __init__(self, node, peers):
        self.peers, self._node = peers, node
        namespace = peers["left"].image_topic.split("/")[1]
        self.joined, self.skeletons = [], []
        self._subscriptions = [
            node.create_subscription(
                PoseArray, f"/{namespace}/poses_3d", self.joined.append, RESULTS
            ),
            node.create_subscription(
                Skeleton, f"/{namespace}/skeleton", self.skeletons.append, LATCHED
            ),
        ]
        for each in peers.values():
            each.connect()
        self._stamp = 1_700_000_000 * SECOND

    def close(self):
        for each in self._subscriptions:
            self._node.destroy_subscription(each)

    def send(self, pictures=None, **delays):
        """Send an image of each camera, with stamps that are later by some nanoseconds."""
        self._stamp += SECOND // 10
        sent = {}
        for name, peer in self.peers.items():
            message = image_of((pictures or {}).get(name, picture_of(name)))
            stamp = self._stamp + delays.get(name, 0)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, SECOND)
            peer.publisher.publish(message)
            sent[name] = message
        next(iter(self.peers.values())).spin_for(0.05)
        return sent

    def send_until(self, condition, **arguments):
        deadline = monotonic() + PATIENCE
        while True:
            assert monotonic() < deadline
            sent = self.send(**arguments)
            if condition():
                return sent


@pytest.fixture
def robot(start, peer, ros_node):
    robots = []

    def make(results=None, **parameters):
        namespace = start(**parameters)
        peers = {name: peer(f"{namespace}/{name}", results=results) for name in NAMES}
        robots.append(Robot(ros_node, peers))
        return robots[-1]

    yield make
    for each in robots:
        each.close()


def places(message):
    return np.array(
        [
            [(p.position.x, p.position.y, p.position.z) for p in person.keypoints_3d]
            for person in message.poses
        ]
    )


def nearest(found):
    """The people of the room in the order in which they were found."""
    return JOINTS[np.linalg.norm(JOINTS[:, None] - found, axis=-1).mean(axis=-1).argmin(axis=0)]


def test_people_are_where_they_are_in_the_common_frame(robot, write_rig):
    room = robot(**{"rig.file": write_rig(*NAMES), "max_batch": 2})

    def complete():  # on a busy machine, an image may come too late to be joined
        cameras = [[len(p.joined_cameras) for p in message.poses] for message in room.joined]
        return [i for i, counts in enumerate(cameras) if counts == [len(NAMES)] * 2]

    room.send_until(lambda: len(complete()) > 3, right=5_000_000, back=15_000_000)
    message = room.joined[complete()[-1]]
    found = places(message)
    assert found.shape == (2, 17, 3)
    np.testing.assert_allclose(found, nearest(found), atol=1e-3)
    assert message.header.frame_id == "room"
    assert message.header.stamp.nanosec % (SECOND // 10) == 15_000_000
    assert (message.image_width, message.image_height, message.skeleton) == (0, 0, "coco17")
    assert [each.name for each in room.skeletons] == ["coco17"]
    for person in message.poses:
        assert person.class_name == "person"
        assert person.bbox.size_x == person.bbox.center.position.x == 0
        assert {each.state for each in person.keypoints} == {Keypoint.ABSENT}
        assert len(person.keypoints) == 17
        hips = [person.keypoints_3d[index].position for index in (11, 12)]
        assert person.motion.position_valid
        assert person.motion.position.z == pytest.approx((hips[0].z + hips[1].z) / 2, abs=0.02)
        assert sorted(person.joined_cameras) == sorted(NAMES)
        assert -1 not in person.joined_track_ids
    assert {person.track_id for person in message.poses} == {1, 2}
    assert len({each for p in message.poses for each in p.joined_track_ids}) == 6


def test_people_are_in_the_target_frame_once_there_is_a_transform(
    robot, write_rig, monkeypatch, ros_node
):
    monkeypatch.setitem(sys.modules, "tf2_ros", fake_tf2)
    room = robot(**{"rig.file": write_rig(*NAMES), "target_frame": "house"})
    said, statuses = [], []
    diagnostics = ros_node.create_subscription(DiagnosticArray, "/diagnostics", statuses.append, 9)

    def warned():
        said.extend(each for message in statuses for each in message.status if each.level == b"\1")
        return any("no transform from 'room' to 'house'" in each.message for each in said)

    room.send_until(warned)
    assert {person.motion.frame_id for person in room.joined[-1].poses} == {"room"}
    transform = TransformStamped(child_frame_id="room")
    transform.header.frame_id, transform.transform.translation.z = "house", 10.0
    tf = ros_node.create_publisher(TFMessage, "/tf_static", LATCHED)
    tf.publish(TFMessage(transforms=[transform]))
    room.send_until(lambda: room.joined[-1].poses[0].motion.frame_id == "house")
    for person in room.joined[-1].poses:
        hips = [person.keypoints_3d[index].position.z for index in (11, 12)]
        assert person.motion.position.z == pytest.approx(np.mean(hips) + 10, abs=0.02)
    assert room.joined[-1].header.frame_id == "room"
    ros_node.destroy_publisher(tf)
    ros_node.destroy_subscription(diagnostics)


def test_images_too_far_apart_in_time_are_not_joined(robot, write_rig):
    room = robot(results=PoseArray, **{"rig.file": write_rig(*NAMES)})
    apart = {"right": 30_000_000, "back": 60_000_000}
    room.send_until(lambda: len(room.peers["back"].received) > 5, **apart)
    assert room.joined == []
    room.send_until(lambda: room.joined)


def test_clocks_that_differ_are_named_in_the_log(robot, write_rig, capfd, monkeypatch):
    monkeypatch.setattr(poses_3d, "_PATIENCE", 0.2)
    room = robot(results=PoseArray, **{"rig.file": write_rig(*NAMES)})
    said = ""

    def warned():
        nonlocal said
        said += capfd.readouterr().err
        return "no two cameras had images of the same time" in said

    room.send_until(warned, right=-30 * SECOND, back=60 * SECOND)
    assert "left 17000" in said
    assert "expected at most 0.02 s between them" in said
    assert room.joined == []


def test_images_of_another_size_are_left_out_and_the_others_joined(robot, write_rig, capfd):
    room = robot(**{"rig.file": write_rig(*NAMES)})
    large = np.zeros((100, 200, 3), np.uint8)
    room.send_until(lambda: room.joined, pictures={"left": large})
    found = places(room.joined[-1])
    np.testing.assert_allclose(found, nearest(found), atol=1e-3)
    said = capfd.readouterr().err
    assert said.count("camera 'left' is left out of poses_3d: its images have 200 x 100") == 1


@pytest.mark.parametrize("why", ["a pause", "no subscriber"])
def test_poses_from_before_a_break_are_not_joined(ros_node, write_rig, why):
    parameters = Parameters.from_values({"cameras": NAMES, "rig.file": write_rig(*NAMES)})
    topic, published, subscribers = Poses3DTopic(ros_node, parameters, None), [], [1]
    topic._poses.wanted, topic._poses.publish = lambda: bool(subscribers), published.append
    vocabulary = Vocabulary(BuiltIn.builtin("coco17"), ("person",))
    topic.describe(vocabulary)
    presentation = SimpleNamespace(vocabulary=vocabulary, times=StageTimes())

    def add(second, *names):
        for name in names:
            header, poses = Header(second * SECOND, "optical"), seen_by(RIG[name], JOINTS)
            topic.add(name, header, SIZE, poses, presentation)

    add(1, "left", "right")  # the third is waited for
    if why == "a pause":
        topic.interrupt()
    else:
        subscribers.clear()
        assert not topic.wanted()
        subscribers.append(1)
    add(60, *NAMES)
    topic.close()
    stamps = [CdrReader(np.frombuffer(each, np.uint8)).header().stamp for each in published]
    assert stamps == [60 * SECOND]


@pytest.mark.parametrize(
    ("names", "pose", "says"),
    [
        pytest.param(NAMES[:2], {}, "has the cameras left, right: expected those", id="one less"),
        pytest.param(
            NAMES, {"rotation": [0, 0, 0, 0]}, "expected a unit quaternion", id="singular"
        ),
        pytest.param(NAMES, {"translation": [1, 1, 1]}, "different places", id="one place"),
    ],
)
def test_a_wrong_rig_ends_the_start_with_a_sentence(start, peer, write_rig, names, pose, says):
    failures = []
    path = write_rig(*names, **pose)
    start(on_failure=failures.append, **{"rig.file": path})
    peer().spin_until(lambda: failures)
    assert says in str(failures[0])
    assert path in str(failures[0])
