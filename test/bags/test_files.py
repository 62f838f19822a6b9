# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import sqlite3

import pytest
from recording import STORE, drive, random_pictures, record
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from kp_pose_ros.bags import decompression
from kp_pose_ros.bags.files import make_typestore, open_bag, read_messages
from kp_pose_ros.errors import BagError

COMPRESSED = {
    "chunks": (CompressionMode.STORAGE, StoragePlugin.MCAP),
    "messages": (CompressionMode.MESSAGE, StoragePlugin.SQLITE3),
}


@pytest.fixture(params=[pytest.param(name, id=name) for name in COMPRESSED])
def compressed(request, tmp_path):
    """A bag with a message of a thousand zeros in a few bytes."""
    mode, storage = COMPRESSED[request.param]
    path = tmp_path / "bag"
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/a", "std_msgs/msg/String", typestore=STORE)
        writer.write(connection, 1, bytes(1000))
    return path


def test_compressed_bags_are_read(compressed):
    with open_bag(compressed) as bag:
        assert [len(content) for _, _, content in read_messages(bag)] == [1000]


def test_what_unpacks_to_too_much_is_refused(compressed, monkeypatch):
    monkeypatch.setattr(decompression, "_LARGEST", 900)
    with pytest.raises(BagError, match="more than 900 bytes"), open_bag(compressed) as bag:
        list(read_messages(bag))


@pytest.mark.parametrize("name", ["", "bag.db3"], ids=["a folder", "a file"])
def test_a_killed_recorder_s_journal_is_not_ignored(tmp_path, name):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/a", "std_msgs/msg/String", typestore=STORE)
        writer.write(connection, 1, bytes(10))
    database = tmp_path / "bag" / "bag.db3"
    recorder = sqlite3.connect(database, isolation_level=None)
    recorder.execute("PRAGMA journal_mode=WAL")
    recorder.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES (1, 2, '')")
    shutil.copytree(tmp_path / "bag", tmp_path / "killed")
    recorder.close()
    with pytest.raises(BagError, match=r"left messages in .*PRAGMA journal_mode=DELETE"):
        open_bag(tmp_path / "killed" / name).__enter__()
    mended = sqlite3.connect(tmp_path / "killed" / "bag.db3")
    mended.execute("PRAGMA journal_mode=DELETE")
    mended.close()
    with open_bag(tmp_path / "killed" / "bag.db3") as bag:
        assert [len(content) for _, _, content in read_messages(bag)] == [10, 0]


@pytest.mark.parametrize("fifo", ["a.mcap", "a.db3", "bag/bag_0.mcap"])
def test_a_fifo_is_no_bag(tmp_path, fifo):
    (tmp_path / "bag").mkdir()
    os.mkfifo(tmp_path / fifo)
    with pytest.raises(BagError, match="not a regular file"):
        open_bag(tmp_path / fifo.partition("/")[0]).__enter__()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Detection2DArray", "214274120007f4a6", id="detections"),
        pytest.param("Detection2D", "0d12b69df5c593b3", id="one detection"),
        pytest.param("BoundingBox2D", "008eacbb0cf8f26e", id="a box"),
    ],
)
def test_the_types_of_vision_msgs_are_those_of_the_published_package(name, expected):
    digest = make_typestore().hash_rihs01(f"vision_msgs/msg/{name}")
    assert digest.startswith(f"RIHS01_{expected}")


def cut(file):
    file.write_bytes(file.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("storage", "damage", "mend"),
    [
        pytest.param("MCAP", cut, "`mcap recover`", id="a killed recorder's MCAP"),
        pytest.param("SQLITE3", cut, '".recover"', id="a database cut short"),
        pytest.param("MCAP", lambda file: file.write_bytes(b""), "`mcap recover`", id="empty MCAP"),
        pytest.param(
            "SQLITE3", lambda file: file.write_bytes(b""), '".recover"', id="an empty database"
        ),
        pytest.param(
            "MCAP", lambda file: file.unlink(), "put them back", id="a part of a split bag missing"
        ),
        pytest.param(
            "SQLITE3",
            lambda file: file.with_name("metadata.yaml").unlink(),
            "`ros2 bag reindex` makes",
            id="no metadata.yaml",
        ),
        pytest.param(
            "SQLITE3",
            lambda file: file.with_name("metadata.yaml").write_text(""),
            "`ros2 bag reindex` makes",
            id="an empty metadata.yaml",
        ),
    ],
)
def test_the_mend_of_a_damaged_bag_is_named(tmp_path, storage, damage, mend):
    path = record(tmp_path / "bag", drive(random_pictures(2)), StoragePlugin[storage])
    (file,) = (each for each in path.iterdir() if each.suffix != ".yaml")
    damage(file)
    with pytest.raises(BagError) as refused, open_bag(path) as bag:
        list(read_messages(bag))
    assert mend in str(refused.value)


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        pytest.param("drive.bag", "`rosbags-convert", id="a bag of ROS 1"),
        pytest.param("drive.txt", "expected a rosbag2 folder", id="another file"),
        pytest.param("drive.mcap", "`mcap recover`", id="an MCAP of other bytes"),
    ],
)
def test_a_file_that_is_no_bag_says_what_is_expected(tmp_path, name, mend):
    (tmp_path / name).write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(BagError) as refused:
        open_bag(tmp_path / name).__enter__()
    assert mend in str(refused.value)
