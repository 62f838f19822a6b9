# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A broker: librdkafka's mock cluster, in a process that can be frozen. Prints its address."""

import sys
import time

from confluent_kafka import Producer

if __name__ == "__main__":
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    metadata = cluster.list_topics(timeout=20)
    broker = next(iter(metadata.brokers.values()))
    print(f"{broker.host}:{broker.port}", flush=True)
    while sys.stdin.readable():
        cluster.poll(0.1)
        time.sleep(0.1)
