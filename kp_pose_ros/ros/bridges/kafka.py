# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Kafka for the bridges: their common parameters, and the events from a stream engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from kp_pose_ros.activities.engine import Event
from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.resources import load_yaml
from kp_pose_ros.ros.bridges.bridge import Bridge
from kp_pose_ros.ros.bridges.sender import KafkaThread, kafka_client

_POLL = 0.2  # seconds
_Warn = Callable[[str], object]


def declare_kafka(node: Bridge, without: str) -> dict[str, Any]:
    """Declare `brokers` and `kafka_config`; return librdkafka's settings, {} without brokers.

    Raises:
        SettingsError: the file of settings cannot be used.
    """
    brokers = node.declare("brokers", "", f"Kafka brokers, host:port,...; {without}.")
    about = "YAML file with librdkafka's settings, such as security.protocol and ssl.ca.location."
    path = node.declare("kafka_config", "", about)
    if not brokers:
        return {}
    config = load_yaml(path, SettingsError) if path else {}
    if not isinstance(config, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {brief(config)}")
    return {**config, "bootstrap.servers": brokers}


class EventReader(KafkaThread):
    """Reads new events from a Kafka topic until stopped."""

    def __init__(
        self, topic: str, config: dict[str, Any], on_event: Callable[[Event], object], warn: _Warn
    ) -> None:
        """Make a reader; `start` starts it.

        Args:
            topic: where the engine writes its events, one JSON object per message.
            config: librdkafka's settings.
            on_event: called in this thread with each event.
            warn: called in this thread with a sentence about a problem.

        Raises:
            SettingsError: confluent-kafka is not installed, or refuses the settings.
        """
        super().__init__("events")
        self._on_event = on_event
        self._warn = warn
        # One consumer group per process: every robot gets all events, and uses only its own.
        group = {"group.id": f"activities-{uuid4()}", "enable.auto.commit": False}
        with kafka_client("reading from") as kafka:
            self._consumer = kafka.Consumer({**group, "auto.offset.reset": "latest", **config})
            self._consumer.subscribe([topic])

    def run(self) -> None:
        """Read until stopped."""
        while not self._stopped.is_set():
            try:
                message = self._consumer.poll(_POLL)
            except Exception as error:  # as below
                self._warn(f"Kafka: {error}")
                self._stopped.wait(_POLL)
                continue
            if message is None:
                continue
            if message.error():
                self._warn(f"Kafka: {message.error()}")
                continue
            try:
                self._on_event(Event.from_record(json.loads(message.value() or b"")))
            except Exception as error:  # of any kind: it would end the thread in silence
                self._warn(f"an event from Kafka was ignored: {error}")
        self._consumer.close()
