#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the CPU time that people in an image cost after the network.

    tools/in_ros_env tools/measure_people.py

The people are simulated: they walk back and forth in 1280 x 720 pixels with the noise of a network,
ten candidates per person among the network's 1024 rows. The messages go to a subscriber in another
process. Each time is the median over 120 images of the best of three runs, in milliseconds of this
thread's CPU time.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from multiprocessing import get_context
from time import sleep, thread_time_ns
from typing import Any

import numpy as np
import rclpy
from kp_pose_ros.msg import PoseArray
from rclpy.publisher import Publisher

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.output.cdr import pose_array
from kp_pose_ros.poses import Floats
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.qos import RESULTS
from kp_pose_ros.skeleton import Skeleton, Vocabulary
from kp_pose_ros.tracking.tracker import TrackingSettings, make_trackers

SIZE = (720, 1280)
NETWORK = Letterbox.fit(SIZE, SIZE)
ROWS, A_PERSON = 1024, 10
IMAGES, HZ, RUNS = 120, 30, 3
TOPIC = "measure_people/poses"
STAGES = ("decode", "track", "encode", "publish")
VOCABULARY = Vocabulary(Skeleton.builtin("coco17"), ("person",))


def main() -> None:
    """Print a row for each number of people."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("people", type=int, nargs="*", default=[0, 1, 3, 10, 30, 100])
    parser.add_argument("--smoothing", type=float, default=0.0, help="as tracking.smoothing")
    args = parser.parse_args()
    settings = TrackingSettings(smoothing=args.smoothing)
    subscriber = get_context("spawn").Process(target=subscribe, daemon=True)
    subscriber.start()
    rclpy.init(args=[])
    publisher = rclpy.create_node("measure_people").create_publisher(PoseArray, TOPIC, RESULTS)
    while not publisher.get_subscription_count():
        sleep(0.1)
    print(f"| people | {' | '.join(STAGES)} | total |\n|{'---|' * (len(STAGES) + 2)}")
    for count in args.people:
        costs = np.min([measure(count, settings, publisher) for _ in range(RUNS)], axis=0)
        print(f"| {count} | {' | '.join(f'{each:.3f}' for each in (*costs, costs.sum()))} |")
    subscriber.kill()
    rclpy.shutdown()


def subscribe() -> None:
    """Receive the messages, until the process is killed."""
    rclpy.init(args=[])
    node = rclpy.create_node("subscriber")
    node.create_subscription(PoseArray, TOPIC, lambda _: None, RESULTS, raw=True)
    rclpy.spin(node)


def measure(count: int, settings: TrackingSettings, publisher: Publisher[Any]) -> list[float]:
    """Return the median milliseconds of each stage."""
    tracker = make_trackers(VOCABULARY.skeleton, {"": "camera"}, settings)[""]
    nanoseconds = []
    for index, rows in enumerate(images(count)):
        header = Header(round(index / HZ * 1e9), "camera")
        times = [thread_time_ns()]
        found = decode(Candidates(rows, NETWORK), (17, 3), DecodeSettings())
        times.append(thread_time_ns())
        poses = tracker.update(found, header.stamp, SIZE)
        times.append(thread_time_ns())
        message = pose_array(header, SIZE, poses, VOCABULARY)
        times.append(thread_time_ns())
        rcl.publish(publisher, np.frombuffer(message, np.uint8))
        times.append(thread_time_ns())
        nanoseconds.append(np.diff(times))
    if len(poses) != count:
        raise RuntimeError(f"{len(poses)} people were found: expected {count}")
    milliseconds: list[float] = (np.median(nanoseconds, axis=0) * 1e-6).tolist()
    return milliseconds


def images(count: int) -> Iterator[Floats]:
    """Yield the network's rows for each image: best candidates first, as the graph sorts them."""
    random = np.random.default_rng(count)
    columns = max(1, round(np.sqrt(1.8 * count)))
    lines = -(-count // columns) or 1
    place = np.arange(count)
    homes = np.stack((place % columns + 0.5, place // columns + 0.5), axis=1)
    homes *= (SIZE[1] / columns, SIZE[0] / lines)
    height = min(300.0, 0.8 * SIZE[0] / lines)
    body = random.uniform(-0.5, 0.5, (count, 17, 2)) * (0.35 * height, height)
    swing = random.uniform(0, 2 * np.pi, count)
    for index in range(IMAGES):
        centers = homes.copy()
        centers[:, 0] += 0.2 * SIZE[1] / columns * np.sin(index / HZ + swing)
        rows = np.zeros((ROWS, 6 + 17 * 3), np.float32)
        people = np.repeat(np.arange(count), A_PERSON)
        noise = random.normal(0, 0.01 * height, (len(people), 1, 2))
        corners = centers[people, None] + np.array(((-0.2, -0.55), (0.2, 0.55))) * height + noise
        points = np.full((len(people), 17, 3), 0.9)
        points[..., :2] = centers[people, None] + body[people] + noise
        scores = random.uniform(0.5, 0.9, (len(people), 1))
        parts = (corners.reshape(-1, 4), scores, 0 * scores, points.reshape(-1, 51))
        some = np.concatenate(parts, axis=1)[:ROWS]
        rows[: len(some)] = some[np.argsort(-some[:, 4])]
        yield rows


if __name__ == "__main__":
    main()
