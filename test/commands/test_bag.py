# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from time import monotonic, sleep

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags.rosbag2")

from recording import (
    START,
    VIDEO_TYPES,
    contents,
    drive,
    image,
    jpeg,
    random_pictures,
    record,
    video,
)
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, StoragePlugin

from kp_pose_ros.bags.files import make_typestore
from kp_pose_ros.cli import main
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator

SIZE = ("--imgsz", "320", "320")  # people of the photographs are found, in little time
POSES = "kp_pose_ros/msg/PoseArray"


def bag(weights, *arguments):
    return main(["bag", "--model", str(weights), *SIZE, *map(str, arguments)])


def read(path, topic, type_name):
    store = make_typestore()
    return [store.deserialize_cdr(content, type_name) for _, content in contents(path)[topic]]


@pytest.fixture(scope="module")
def pictures(demo_photo):
    photos = [cv2.resize(demo_photo(name), (640, 480)) for name in ("bus.jpg", "zidane.jpg")]
    nobody = np.full((480, 640, 3), 90, np.uint8)
    return [photos[0], nobody, photos[0], photos[1], photos[1]]


STORAGE = {
    "sqlite3": StoragePlugin.SQLITE3,
    "mcap": StoragePlugin.MCAP,
    "a file": StoragePlugin.MCAP,
}


@pytest.fixture(scope="module", params=STORAGE)
def runs(request, demo_weights, pictures, tmp_path_factory):
    """A bag of real pictures, and what the command made of it."""
    folder = tmp_path_factory.mktemp("bag")
    source = record(folder / "in", drive(pictures), STORAGE[request.param])
    given = source / "in.mcap" if request.param == "a file" else source
    assert bag(demo_weights, given, "-o", folder / "out", "--annotated", "--max-batch", "2") == 0
    return source, folder / "out"


def test_every_message_is_there_bit_for_bit(runs):
    source, output = map(contents, runs)
    for topic, messages in source.items():
        assert output[topic] == messages


def test_qualities_of_service_and_definitions_come_along(runs):
    with Reader(runs[0]) as source, Reader(runs[1]) as output:
        copies = {each.topic: each for each in output.connections}
        for each in source.connections:
            copy = copies[each.topic]
            assert (copy.msgtype, copy.msgdef, copy.digest, copy.ext) == (
                (each.msgtype, each.msgdef, each.digest, each.ext)
            )


def test_there_is_one_pose_array_for_every_image_with_its_stamps(runs):
    output = contents(runs[1])
    assert [stamp for stamp, _ in output["/front/poses"]] == [
        stamp for stamp, _ in output["/front/image_raw"]
    ]
    for kind, topic in ((POSES, "poses"), ("vision_msgs/msg/Detection2DArray", "detections")):
        headers = [each.header for each in read(runs[1], f"/front/{topic}", kind)]
        taken = [START + index * 33_000_000 for index in range(5)]
        assert [each.stamp.sec * 10**9 + each.stamp.nanosec for each in headers] == taken
        assert {each.frame_id for each in headers} == {"camera_optical_frame"}


def test_the_poses_are_those_of_the_estimator(runs, demo_weights, pictures):
    _, estimator = make_estimator(EstimatorSettings(demo_weights, imgsz=(320, 320)))
    for message, picture in zip(read(runs[1], "/front/poses", POSES), pictures, strict=True):
        (poses,) = estimator.estimate([Frame(picture)])
        assert (message.image_width, message.image_height) == (640, 480)
        assert len(message.poses) == len(poses)
        for person, keypoints in zip(message.poses, poses.keypoints, strict=True):
            found = [(each.x, each.y, each.score) for each in person.keypoints]
            np.testing.assert_allclose(found, keypoints, atol=0.01)
    assert len(poses) == 2


def test_people_have_ids_from_the_second_image_that_shows_them(runs):
    arrays = read(runs[1], "/front/poses", POSES)
    assert {person.track_id for person in arrays[0].poses} == {-1}
    assert {person.track_id for person in arrays[4].poses} == {1, 2}


def test_the_skeleton_is_there_once_for_players_to_keep(runs):
    (skeleton,) = read(runs[1], "/front/skeleton", "kp_pose_ros/msg/Skeleton")
    assert skeleton.keypoint_names[0] == "nose"
    with Reader(runs[1]) as output:
        (connection,) = (each for each in output.connections if each.topic == "/front/skeleton")
    assert connection.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"


def test_annotated_pictures_have_the_poses_drawn(runs, pictures):
    topic = "/front/annotated/compressed"
    drawn = read(runs[1], topic, "sensor_msgs/msg/CompressedImage")
    decoded = [cv2.imdecode(each.data, cv2.IMREAD_COLOR) for each in drawn]
    changed = [np.abs(a.astype(int) - b) > 100 for a, b in zip(decoded, pictures, strict=True)]
    assert [bool(each.sum() > 1000) for each in changed] == [True, False, True, True, True]


def test_tools_that_trust_the_definitions_inside_can_read_it(runs):
    with AnyReader([runs[1]]) as reader:
        types = {
            topic: type(reader.deserialize(content, connection.msgtype)).__name__
            for connection, _, content in reader.messages()
            if (topic := connection.topic)
        }
    assert types["/front/poses"] == "kp_pose_ros__msg__PoseArray"
    assert types["/level"] == "my_msgs__msg__Level"


def test_topics_are_chosen_and_bad_images_counted(demo_weights, tmp_path, capsys):
    (picture,) = random_pictures(1)
    stamps = [START + index for index in range(3)]
    source = record(
        tmp_path / "in",
        {
            "/left/image_raw/compressed": (
                "sensor_msgs/msg/CompressedImage",
                [(stamps[0], jpeg(picture, 1)), (stamps[1], jpeg(picture, 1)[:-50])],
            ),
            "/depth/image": (
                "sensor_msgs/msg/Image",
                [(stamps[2], image(picture, 1, encoding="32FC1"))],
            ),
            "/right/image_raw": ("sensor_msgs/msg/Image", [(stamps[2], image(picture, 1))]),
        },
    )
    topics = ("--topics", "/left/image_raw/compressed", "/depth/image")
    assert bag(demo_weights, source, "-o", tmp_path / "out", *topics) == 0
    output = contents(tmp_path / "out")
    assert [stamp for stamp, _ in output["/left/poses"]] == [stamps[0]]
    assert "/right/poses" not in output
    assert "/depth/poses" not in output
    summary = capsys.readouterr().out
    assert "/left/image_raw/compressed: 1 image skipped, the first because" in summary
    assert "encoding is '32FC1'" in summary


def test_large_jpegs_have_poses_in_their_own_pixels(demo_weights, demo_photo, tmp_path):
    large = cv2.resize(demo_photo("zidane.jpg"), (2560, 1440))
    kind = "sensor_msgs/msg/CompressedImage"
    source = record(
        tmp_path / "in", {"/front/image_raw/compressed": (kind, [(START, jpeg(large, START))])}
    )
    for output, drawn in (("poses", []), ("drawn", ["--annotated"])):
        assert bag(demo_weights, source, "-o", tmp_path / output, *drawn) == 0
        (message,) = read(tmp_path / output, "/front/poses", POSES)
        assert (message.image_width, message.image_height) == (2560, 1440)
        assert len(message.poses) == 2
        assert abs(message.poses[0].bbox.center.position.x - 1190) < 80
    (picture,) = read(tmp_path / "drawn", "/front/annotated/compressed", kind)
    assert cv2.imdecode(picture.data, cv2.IMREAD_COLOR).shape == (1440, 2560, 3)


def without_definitions(path):
    """Make a bag as Humble writes it: its sqlite3 storage has no definitions and no hashes."""
    import sqlite3

    (database,) = path.glob("*.db3")
    with sqlite3.connect(database) as connection:
        connection.executescript(
            "DROP TABLE message_definitions; DROP TABLE metadata;"
            "ALTER TABLE topics DROP COLUMN type_description_hash;"
            "UPDATE schema SET schema_version = 3"
        )
    metadata = path / "metadata.yaml"
    lines = metadata.read_text().splitlines(keepends=True)
    kept = [line for line in lines if "hash" not in line and "RIHS" not in line]
    metadata.write_text("".join(kept))


def test_a_bag_of_humble_gets_the_definitions_that_ros_has(demo_weights, tmp_path):
    source = record(tmp_path / "in", drive(random_pictures(1)))
    before = contents(source)
    without_definitions(source)
    assert bag(demo_weights, source, "-o", tmp_path / "out") == 0
    output = contents(tmp_path / "out")
    assert {topic: output[topic] for topic in before} == before
    with AnyReader([tmp_path / "out"]) as reader:
        definitions = {each.topic: each.msgdef.data for each in reader.connections}
    assert "string encoding" in definitions["/front/image_raw"]
    assert definitions["/battery"] == ""


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_an_interrupted_run_leaves_a_whole_bag(demo_weights, pictures, tmp_path, storage):
    source = record(tmp_path / "in", drive(pictures * 12), storage)
    command = [sys.executable, "-m", "kp_pose_ros.cli", "bag", str(source)]
    options = ["-o", str(tmp_path / "out"), "--model", str(demo_weights), *SIZE]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    deadline = monotonic() + 60
    # Not *: sqlite's journals come and go.
    while not any(path.stat().st_size > 2e6 for path in (tmp_path / "out").glob("out.*[3p]")):
        assert monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        sleep(0.02)
    process.send_signal(signal.SIGINT)
    summary = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130
    output, whole = contents(tmp_path / "out"), contents(source)
    count = len(output["/front/image_raw"])
    assert 0 < count < 60
    assert output["/front/image_raw"] == whole["/front/image_raw"][:count]
    assert len(output["/front/poses"]) == count
    assert f"in {count} images" in summary


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        pytest.param(["nothing", "-o", "out"], "nothing", id="no such bag"),
        pytest.param(["folder", "-o", "out"], "metadata.yaml", id="a folder that is no bag"),
        pytest.param(["broken.mcap", "-o", "out"], "cannot be read", id="a damaged file"),
        pytest.param(["in", "-o", "folder"], "exists", id="an output that exists"),
        pytest.param(["in", "-o", "file/out"], "cannot be written", id="an output below a file"),
        pytest.param(["in", "-o", "out", "--topics", "/x"], "/x is not in", id="an unknown topic"),
        pytest.param(["in", "-o", "out", "--topics", "/battery"], "Battery", id="not an image"),
        pytest.param(["blind", "-o", "out"], "no images", id="a bag without images"),
    ],
)
def test_errors_are_one_sentence(demo_weights, arguments, phrase, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    topics = drive(random_pictures(1))
    record(tmp_path / "in", topics)
    topics.pop("/front/image_raw")
    record(tmp_path / "blind", topics)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    assert bag(demo_weights, *arguments) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert phrase in message
    assert not (tmp_path / "out").exists()


def test_a_bag_without_a_readable_image_is_an_error(demo_weights, tmp_path, capsys):
    (picture,) = random_pictures(1)
    depth = ("sensor_msgs/msg/Image", [(START, image(picture, 1, encoding="32FC1"))])
    source = record(tmp_path / "in", {"/depth/image": depth})
    assert bag(demo_weights, source, "-o", tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "/depth/image: 1 image skipped, the first because encoding is '32FC1'" in said.out
    assert "not one image of" in said.err


def test_video_streams_are_images(demo_weights, demo_photo, tmp_path):
    av = pytest.importorskip("av")
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 640, 352, "yuv420p"
    context.time_base, context.options = Fraction(1, 10), {"tune": "zerolatency"}
    photo = cv2.resize(demo_photo("zidane.jpg"), (640, 352))
    frames = [av.VideoFrame.from_ndarray(photo, format="bgr24") for _ in range(3)]
    for count, frame in enumerate(frames):
        frame.pts = count
    packets = [packet for frame in frames for packet in context.encode(frame)]
    topics = {
        f"/{kind}/image/{kind}": (
            type_name,
            [(START + i, video(type_name, bytes(each), i)) for i, each in enumerate(packets)],
        )
        for kind, type_name in VIDEO_TYPES.items()
    }
    source = record(tmp_path / "in", topics, StoragePlugin.MCAP)
    assert bag(demo_weights, source, "-o", tmp_path / "out") == 0
    for kind in VIDEO_TYPES:
        arrays = read(tmp_path / "out", f"/{kind}/poses", POSES)
        assert [each.header.stamp.nanosec for each in arrays] == [0, 1, 2]
        assert [len(each.poses) for each in arrays] == [2, 2, 2]


def test_a_damaged_bag_is_copied_as_far_as_it_can_be_read(demo_weights, tmp_path, capsys):
    source = record(tmp_path / "in", drive(random_pictures(9, (480, 640))), StoragePlugin.MCAP)
    (file,) = source.glob("*.mcap")
    content = bytearray(file.read_bytes())
    position = content.rindex(b"camera_optical_frame") - 40
    content[position - 8 : position] = b"\xff" * 8  # the last image's time, out of its chunk's
    file.write_bytes(content)
    assert bag(demo_weights, source, "-o", tmp_path / "out") == 1
    assert "only 18 of its 19 messages" in capsys.readouterr().err
    assert len(contents(tmp_path / "out")["/front/poses"]) == 8


def test_records_and_activities_are_written_when_asked(demo_weights, pictures, tmp_path):
    rules, lines = tmp_path / "rules.yaml", tmp_path / "poses.jsonl"
    rules.write_text("rules: {here: {when: nose.y > 0, hold: 0.03}}")
    source = record(tmp_path / "in", drive([pictures[0]] * 6))
    options = ("--records", lines, "--activities", rules)
    assert bag(demo_weights, source, "-o", tmp_path / "out", *options) == 0
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(each["camera"], each["seq"]) for each in written] == [
        ("/front/image_raw", number) for number in range(6)
    ]
    messages = read(tmp_path / "out", "/front/activities", "kp_pose_ros/msg/Activity")
    assert {each.activity for each in messages} == {"here"}
    assert {each.state for each in messages} == {1}
    images = {each["stamp_ms"]: each for each in written}
    for each in messages:
        stamp = each.header.stamp.sec * 1000 + each.header.stamp.nanosec // 10**6
        assert each.track_ids[0] in {pose["track_id"] for pose in images[stamp]["poses"]}
        assert each.since.sec * 1000 + each.since.nanosec // 10**6 < stamp


def test_records_replace_no_file(demo_weights, pictures, tmp_path, capsys):
    lines = tmp_path / "poses.jsonl"
    lines.write_text("mine")
    source = record(tmp_path / "in", drive(pictures[:1]))
    assert bag(demo_weights, source, "-o", tmp_path / "out", "--records", lines) == 1
    assert "poses.jsonl exists: choose a new file" in capsys.readouterr().err
    assert lines.read_text() == "mine"
    assert not (tmp_path / "out").exists()
