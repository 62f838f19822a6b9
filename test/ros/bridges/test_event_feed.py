# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict, deque
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from feed_messages import PAIR, poses
from kp_pose_ros.msg import PoseArray, Skeleton
from node_process import PATIENCE
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.bridges import kafka, sender
from kp_pose_ros.ros.bridges.event_feed import EventFeed
from kp_pose_ros.ros.bridges.spool import Spool
from kp_pose_ros.ros.qos import LATCHED

HERE = Path(__file__).parent
SOAK = "KP_POSE_SOAK" in os.environ  # 50 kills and a minute of a frozen broker: six minutes


class Feed:
    """An event_feed process, and the publishers of a pose node."""

    def __init__(self, node, folder, **parameters):
        self.node = node
        self.folder = folder
        self._parameters = {"robot": "r", "spool": folder, "cameras": "[left, right]", **parameters}
        self._skeletons, self._poses = {}, {}
        for camera in ("left", "right"):
            publish = node.create_publisher
            self._skeletons[camera] = publish(Skeleton, f"/{camera}/skeleton", LATCHED)
            # Deep enough for what the tests send while the feed is not scheduled.
            self._poses[camera] = publish(PoseArray, f"/{camera}/poses", 100)
        self.process = None

    def start(self, *, within=()):
        words = [
            word for name, value in self._parameters.items() for word in ("-p", f"{name}:={value}")
        ]
        command = [sys.executable, "-m", "kp_pose_ros.ros.bridges.event_feed", "--ros-args", *words]
        self._before = self._segments() | {name.strip(".") for name in self._segments()}
        self.process = subprocess.Popen([*within, *command], stderr=subprocess.PIPE, text=True)
        until(
            lambda: all(
                each.get_subscription_count()
                for each in [*self._skeletons.values(), *self._poses.values()]
            )
        )
        for publisher in self._skeletons.values():
            publisher.publish(PAIR)

    def _segments(self):
        return {path.name for path in self.folder.glob("*.jsonl")}

    def wake(self, seconds):
        """Send until the feed stores records: the graph keeps a killed feed's subscriptions."""

        def stores():
            for camera in self._poses:
                self.send(poses(seconds), camera)
            sleep(0.1)
            new = self._segments() - self._before
            content = b"".join((self.folder / name).read_bytes() for name in new)
            return all(f'"camera":"{camera}"'.encode() in content for camera in self._poses)

        until(stores)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        logged = [line for line in errors.splitlines() if "[INFO]" not in line]
        return self.process.returncode, logged

    def send(self, message, camera="left"):
        self._poses[camera].publish(message)

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        for publisher in [*self._skeletons.values(), *self._poses.values()]:
            self.node.destroy_publisher(publisher)

    def files(self):
        lines = [path.read_text() for path in sorted(self.folder.glob("[0-9]*.jsonl"))]
        return [json.loads(line) for text in lines for line in text.splitlines()]

    def on_disk(self):
        """Return camera and stamp of every whole record on the disk."""
        lines = b"".join(path.read_bytes() for path in self.folder.glob("*.jsonl")).split(b"\n")
        records = [json.loads(line) for line in lines[:-1] if line]
        return {(each["camera"], each["stamp_ms"]) for each in records}

    def stored(self):
        """Return how many records are on the disk, whole or being written."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob("*.jsonl"))


def until(condition, timeout=PATIENCE):
    deadline = monotonic() + timeout
    while not condition():
        assert monotonic() < deadline, f"nothing in {timeout} s"
        sleep(0.02)


@pytest.fixture
def feed(ros_node, tmp_path):
    feeds = []

    def make(**parameters):
        feeds.append(Feed(ros_node, tmp_path / "spool", **parameters))
        return feeds[-1]

    yield make
    for each in feeds:
        each.close()


def test_without_brokers_records_become_files(feed):
    feed = feed()
    feed.start()
    for number in range(20):
        feed.send(poses(1 + number / 10, 7), ("left", "right")[number % 2])
    until(lambda: feed.stored() == 20)
    assert feed.stop() == (0, [])
    records = feed.files()
    left = [each for each in records if each["camera"] == "left"]
    assert [each["seq"] for each in left] == [*range(10)]
    assert left[0] | {"session": ""} == {
        **{"v": 1, "robot": "r", "camera": "left", "session": "", "seq": 0, "stamp_ms": 1000},
        **{"frame_id": "optical", "width": 64, "height": 48, "skeleton": "pair", "gone": []},
        "poses": [
            {
                **{"track_id": 7, "class": "person", "score": 0.5, "bbox": [0.0, 0.0, 0.0, 0.0]},
                "keypoints": {"nose": [5.0, 6.0, 0.5], "left_wrist": [5.0, 6.0, 0.0]},
            }
        ],
    }


def test_a_spool_that_cannot_be_used_stops_the_node(ros_node, tmp_path):
    (tmp_path / "spool").write_text("in the way")
    spool = Parameter("spool", value=str(tmp_path / "spool"))
    with pytest.raises(SettingsError, match="spool cannot be used"):
        EventFeed(parameter_overrides=[spool])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        pytest.param(OSError("no space"), "cannot be synced or read: no space", id="the disk"),
        pytest.param(SettingsError("no such certificate"), "no such certificate", id="the client"),
    ],
)
def test_the_sender_goes_on_after_an_error(tmp_path, monkeypatch, error, says):
    monkeypatch.setattr(sender, "_PAUSE", 0.01)
    told, errors, works = [], [error, error], Event()
    spool = Spool(tmp_path / "spool", 10**6)
    made = sender.Sender(spool, "poses", {}, told.append)
    made._config = {"bootstrap.servers": "robot"}

    def send():
        if errors:
            raise errors.pop()
        works.set()
        made._stopped.wait()

    made._send = send
    made.start()
    assert works.wait(PATIENCE)
    assert made.stop(PATIENCE)
    spool.close()
    (line,) = told
    assert says in line


class SlowProducer:
    """A client that delivers a record in each call of `poll`, but none of those just produced."""

    def __init__(self):
        self._answers = deque()

    def produce(self, _topic, _line, _key, on_delivery):
        self._answers.append([on_delivery, False])

    def poll(self, _timeout):
        for answer in self._answers:
            if answer[1]:
                self._answers.remove(answer)
                answer[0](None, None)
                break
        for answer in self._answers:
            answer[1] = True


def test_the_sender_goes_on_on_a_disk_that_is_full_until_it_has_sent_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sender, "_PAUSE", 0.001)
    monkeypatch.setattr(sender, "_PERIOD", 0.0)
    spool = Spool(tmp_path / "spool", 10**6)

    def save(_):
        if spool.waiting():
            raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(spool, "_save", save)
    for number in range(3):
        spool.append(b'{"v":1,"robot":"r","camera":"c","seq":%d}\n' % number)
    made = sender.Sender(spool, "poses", {}, lambda _: None)
    made._config, made._producer = {"bootstrap.servers": "robot"}, SlowProducer()
    made.start()
    until(lambda: not spool.waiting())
    assert made.stop(PATIENCE)
    spool.close()


def test_the_reader_of_events_goes_on_after_an_error(monkeypatch):
    errors, told, works = [RuntimeError("the client failed")], [], Event()

    def poll(_):
        if errors:
            raise errors.pop()
        works.set()
        sleep(0.01)

    consumer = SimpleNamespace(poll=poll, subscribe=lambda _: None, close=lambda: None)
    client = SimpleNamespace(Consumer=lambda _: consumer)
    monkeypatch.setattr(kafka, "kafka_client", lambda _: nullcontext(client))
    reader = kafka.EventReader("events", {}, pytest.fail, told.append)
    reader.start()
    assert works.wait(PATIENCE)
    assert reader.stop(PATIENCE)
    assert told == ["Kafka: the client failed"]


class Broker:
    """A broker in a process of its own, and the records that it received."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "broker_process.py"], stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().strip()

    def received(self, topic, expected, timeout=PATIENCE):
        """Return (session, seq, stamp) of the records by camera, once all expected have arrived."""
        from confluent_kafka import Consumer

        consumer = Consumer(
            {"bootstrap.servers": self.address, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        found, seen, deadline = defaultdict(list), set(), monotonic() + timeout
        while not expected <= seen and monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                record = json.loads(message.value())
                assert message.key() == f"r/{record['camera']}".encode()
                camera = record["camera"]
                found[camera].append((record["session"], record["seq"], record["stamp_ms"]))
                seen.add((camera, record["stamp_ms"]))
        consumer.close()
        assert expected <= seen
        return found

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker():
    pytest.importorskip("confluent_kafka")
    broker = Broker()
    yield broker
    broker.kill()


def is_in_order(records):
    """Return whether new records are in order; earlier ones may be repeated."""
    new = [*dict.fromkeys(records)]
    return new == sorted(new, key=lambda each: each[2])


def endings():
    """Return the signal that ends each process of the feed, and for how many seconds it runs."""
    if not SOAK:
        return [(signal.SIGKILL, 1.0), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)]
    moments = random.Random(1)
    return [(signal.SIGKILL, moments.uniform(0.0, 3.0)) for _ in range(50)]


def test_a_broker_receives_every_record_in_order_whatever_is_frozen_or_killed(feed, broker):
    feed = feed(brokers=broker.address)
    stored = set()
    for number, (ending, seconds) in enumerate(endings()):
        feed.start()
        feed.wake(100 * number)
        if number == 1:
            broker.process.send_signal(signal.SIGSTOP)
            sleep(60.0 if SOAK else 1.5)
        until_then = monotonic() + seconds
        for each in range(1, 500):
            if monotonic() > until_then:
                break
            feed.send(poses(100 * number + each / 10, 7), ("left", "right")[each % 2])
            sleep(0.01)
        assert feed.process.poll() is None
        feed.stop(ending)
        stored |= feed.on_disk()
        broker.process.send_signal(signal.SIGCONT)
    feed.start()
    feed.wake(100 * len(endings()))
    for records in broker.received("poses", stored).values():
        assert is_in_order(records)
    until(lambda: not [*feed.folder.glob("[0-9]*.jsonl")])
    assert feed.stop()[0] == 0


@pytest.fixture
def diagnosed(ros_node):
    """Wait for a status of the feed whose numbers meet a condition; return the status."""
    statuses = []
    subscription = ros_node.create_subscription(
        DiagnosticArray, "/diagnostics", lambda message: statuses.extend(message.status), 10
    )
    executor = SingleThreadedExecutor()
    executor.add_node(ros_node)

    def wait(condition):
        deadline = monotonic() + PATIENCE
        statuses.clear()
        while True:
            for status in statuses:
                numbers = {each.key: int(each.value) for each in status.values}
                if status.name == "/event_feed: feed" and condition(numbers):
                    return status
            assert monotonic() < deadline, statuses
            executor.spin_once(0.1)

    yield wait
    executor.remove_node(ros_node)
    ros_node.destroy_subscription(subscription)


def test_lag_is_diagnosed(feed, diagnosed):
    feed = feed()
    feed.start()
    feed.wake(1)
    status = diagnosed(lambda numbers: numbers["records"] > 0)
    assert (status.level, status.message) == (DiagnosticStatus.OK, "OK")
    assert {value.key for value in status.values} >= {"sent", "spooled bytes", "dropped"}


@pytest.fixture
def disk(tmp_path):
    """Return a command prefix with which the spool's folder is a disk of 300 kB."""
    folder = tmp_path / "spool"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=300k none {folder}"
    within = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'{mount} && exec "$@"',
    ]
    if subprocess.run([*within, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let its users mount")
    return [*within, "sh"]


def test_on_a_full_disk_the_broker_receives_all_that_fitted_and_then_new_records(
    feed, broker, disk, diagnosed
):
    feed = feed(brokers=broker.address)
    feed.start(within=disk)
    feed.folder = Path(f"/proc/{feed.process.pid}/root{feed.folder}")
    feed.wake(0)
    diagnosed(lambda numbers: numbers["sent"] > 0)
    broker.process.send_signal(signal.SIGSTOP)
    for number in range(1, 150):
        feed.send(poses(number / 10, *range(20)))
        sleep(0.005)
    status = diagnosed(lambda numbers: numbers["dropped"] > 0)
    assert status.level == DiagnosticStatus.WARN
    assert "records were lost" in status.message
    stored = feed.on_disk()
    assert len(stored) > 50
    broker.process.send_signal(signal.SIGCONT)
    diagnosed(lambda numbers: numbers["spooled bytes"] == 0)
    feed.send(poses(1000, 7))
    for records in broker.received("poses", stored | {("left", 1_000_000)}).values():
        assert is_in_order(records)
    code, errors = feed.stop()
    assert code == 0
    assert any("disk is full: new records are lost" in line for line in errors)
