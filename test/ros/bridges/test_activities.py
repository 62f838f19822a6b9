# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace
from time import monotonic

import pytest
from kp_pose_ros.msg import Activity, Keypoint, KeypointPose, PoseArray, Skeleton
from node_process import PATIENCE
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from kp_pose_ros.activities.engine import Event
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.bridges.activities import ActivitiesNode
from kp_pose_ros.ros.qos import LATCHED, RESULTS

RULES = "rules: {high: {when: wrist.y < nose.y, hold: 1}, tailed: {when: tail.y < nose.y}}"


def parameters(**values):
    return {"parameter_overrides": [Parameter(name, value=value) for name, value in values.items()]}


@pytest.fixture
def robot(ros_node, tmp_path):
    """Sender of images with a hand at a height, and the activities that were published."""
    (tmp_path / "rules.yaml").write_text(RULES)
    node = ActivitiesNode(**parameters(rules=str(tmp_path / "rules.yaml"), cameras=["watching"]))
    skeleton = ros_node.create_publisher(Skeleton, "watching/skeleton", LATCHED)
    poses = ros_node.create_publisher(PoseArray, "watching/poses", RESULTS)
    found = []
    heard = ros_node.create_subscription(Activity, "watching/activities", found.append, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(ros_node)

    def spin_until(condition):
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline
            executor.spin_once(0.02)

    def see(seconds, height):
        message = PoseArray(image_width=64, image_height=48, skeleton="arm")
        message.header.frame_id = "optical"
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(
            round(seconds * 1e9) + 7, 10**9
        )
        points = [Keypoint(x=1.0, y=y, score=1.0, state=1) for y in (20.0, height)]
        message.poses = [KeypointPose(track_id=3, keypoints=points)]
        spin_until(poses.get_subscription_count)
        poses.publish(message)
        for _ in range(3):
            executor.spin_once(0.02)
        return message

    skeleton.publish(Skeleton(name="arm", keypoint_names=["nose", "wrist"]))
    spin_until(lambda: node._inputs["watching"].keypoint_names)
    spin_until(lambda: node.count_subscribers("/watching/activities"))
    see.found, see.spin_until = found, spin_until
    yield see
    executor.shutdown()
    for each in (skeleton, poses):
        ros_node.destroy_publisher(each)
    ros_node.destroy_subscription(heard)
    node.destroy_node()


def test_an_activity_starts_and_ends_with_the_headers_of_its_images(robot):
    sent = [robot(5 + number / 10, 10.0 if number < 15 else 30.0) for number in range(25)]
    robot.spin_until(lambda: len(robot.found) == 2)
    start, end = robot.found
    assert (start.state, end.state) == (Activity.START, Activity.END)
    assert start.header == sent[10].header
    assert (start.camera, start.activity, list(start.track_ids)) == ("watching", "high", [3])
    assert (start.since.sec, start.since.nanosec, start.images) == (5, 0, 11)
    assert (end.until.sec, end.until.nanosec, end.images) == (6, 400_000_000, 15)


def test_rules_that_cannot_be_read_stop_the_node(ros_node, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: {high: {when: wrist.y < 5}}")
    with pytest.raises(SettingsError, match="rule high: when"):
        ActivitiesNode(**parameters(rules=str(path)))


def test_events_that_an_engine_found_come_back_from_kafka(ros_node):
    """Those of this robot, on the topics of its cameras; other messages are ignored."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    broker = next(iter(cluster.list_topics("activities", timeout=PATIENCE).brokers.values()))
    address = f"{broker.host}:{broker.port}"
    node = ActivitiesNode(**parameters(brokers=address, robot="r", cameras=["door"]))
    found = []
    heard = ros_node.create_subscription(Activity, "door/activities", found.append, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.add_node(ros_node)
    event = Event("r", "door", "s", "fallen", "START", (7,), 1500, 2500, 2600, 9)
    others = replace(event, robot="other"), replace(event, camera="hall")
    producer = confluent_kafka.Producer({"bootstrap.servers": address})
    deadline = monotonic() + PATIENCE
    while not found:  # the reader begins at the end of the topic, once it has its partitions
        assert monotonic() < deadline
        for content in (b"no event", *(json.dumps(e.to_record()) for e in (*others, event))):
            producer.produce("activities", content)
        producer.poll(0)
        executor.spin_once(0.2)
    for message in found:
        assert (message.activity, list(message.track_ids), message.images) == ("fallen", [7], 9)
        assert (message.header.stamp.sec, message.header.stamp.nanosec) == (2, 600_000_000)
        assert message.camera == "door"
    assert node.close(PATIENCE)
    executor.shutdown()
    ros_node.destroy_subscription(heard)
    node.destroy_node()
