# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sends records from a spool to Kafka: at least once, in order for each camera."""

from __future__ import annotations

import json
import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic
from typing import Any

from kp_pose_ros.errors import KpPoseError, SettingsError
from kp_pose_ros.ros.bridges.spool import Position, Spool

_IN_FLIGHT = 1000  # records
_PERIOD = 0.5  # seconds between two syncs of the disk
_PAUSE = 2.0  # seconds before a retry after the broker refused a record
_POLL = 0.05  # seconds to wait for the broker's answers, or for new records
# See librdkafka's CONFIGURATION.md. Idempotence: the client resends lost records without changing
# the order. No timeout of messages: it waits for the broker forever, since the records are safe on
# disk. The other timeouts are for Wi-Fi that comes and goes: with the defaults, 60, 30 and 10 s,
# records began to flow up to 24 s after an outage.
_SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "message.timeout.ms": 0,
    "socket.timeout.ms": 30_000,
    "socket.connection.setup.timeout.ms": 10_000,
    "reconnect.backoff.max.ms": 2_000,
    "linger.ms": 20,
    "compression.type": "lz4",
}
# How a record begins, if its names have no escapes; reading all of it as JSON costs 1 % of a core.
_NAMES = re.compile(rb'\{"v":1,"robot":"([^"\\]*)","camera":"([^"\\]*)",')
_log = logging.getLogger(__name__)  # librdkafka's log lines; problems are reported with `warn`


@dataclass(slots=True)
class _Sent:
    """A record in flight; `error` is the broker's error, None once the broker has the record."""

    after: Position
    is_answered: bool = False
    error: Any = None


@contextmanager
def kafka_client(purpose: str) -> Iterator[Any]:
    """Yield the module confluent_kafka; in the `with` block, make a client.

    Raises:
        SettingsError: confluent-kafka is not installed, or refuses the settings.
    """
    try:
        import confluent_kafka
    except ImportError as error:
        raise SettingsError(
            f"{purpose} Kafka needs confluent-kafka: pip install confluent-kafka"
        ) from error
    try:
        yield confluent_kafka
    except (confluent_kafka.KafkaException, TypeError, ValueError) as error:
        raise SettingsError(f"Kafka's client refuses its settings: {error}") from error


class KafkaThread(Thread):
    """A thread that works until stopped."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._stopped = Event()

    def stop(self, timeout: float) -> bool:
        """End the thread; return whether it has ended within `timeout` seconds."""
        self._stopped.set()
        self.join(timeout)
        return not self.is_alive()


class Sender(KafkaThread):
    """Sends the records of a spool, old and new, until stopped; without a broker, only syncs.

    Attributes:
        sent: how many records the broker has acknowledged.
        in_flight: how many it has not answered yet.
        damaged: how many lines were not valid records, or larger than the broker accepts.
        problem: the current problem; empty if there is none.
    """

    def __init__(
        self, spool: Spool, topic: str, config: Mapping[str, Any], warn: Callable[[str], object]
    ) -> None:
        """Make a sender; `start` starts it.

        Args:
            spool: the records to send.
            topic: the Kafka topic to send them to.
            config: librdkafka's settings; empty: there is no broker.
            warn: called in this thread with a sentence about a problem.

        Raises:
            SettingsError: confluent-kafka is not installed, or refuses the settings.
        """
        super().__init__("sender")
        self.sent = 0
        self.in_flight = 0
        self.damaged = 0
        self.problem = ""
        self._spool = spool
        self._topic = topic
        self._config = {**_SETTINGS, **config} if config else {}
        self._warn = warn
        self._synced = monotonic()
        self._done: Position | None = None  # acknowledged, but not yet committed to the spool
        if self._config:
            self._producer = self._make_producer()

    def _make_producer(self) -> Any:
        with kafka_client("sending to") as kafka:
            return kafka.Producer(self._config, logger=_log)

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopped.is_set():
            try:
                if self._config:
                    self._send()
                else:
                    self._stopped.wait(_PERIOD)
                    self._spool.rotate_if_due()
                    self._sync()
            except OSError as error:
                self._report(f"the spool cannot be synced or read: {error}")
                self._stopped.wait(_PAUSE)
            except KpPoseError as error:  # a file that the settings name may be missing for a while
                self._report(f"{error}; it will be tried again")
                self._stopped.wait(_PAUSE)

    def _send(self) -> None:
        """Send from the committed position on, until stopped or a record is refused."""
        pending: deque[_Sent] = deque()
        position = self._spool.committed
        while True:
            found = self._spool.read(position) if len(pending) < _IN_FLIGHT else []
            for line, after in found:
                pending.append(self._produce(line, after))
            position = found[-1][1] if found else position
            self._producer.poll(0 if found else _POLL)
            done = None
            while pending and pending[0].is_answered and pending[0].error is None:
                done = pending.popleft().after
            self._done = done or self._done
            self.in_flight = len(pending)
            if pending and pending[0].is_answered:
                self._begin_again(pending[0].error)
                return
            if done is not None:
                self.problem = ""
            if self._stopped.is_set():
                with suppress(OSError):
                    self._sync()
                return
            if monotonic() - self._synced >= _PERIOD:
                self._sync()

    def _produce(self, line: bytes, after: Position) -> _Sent:
        sent = _Sent(after)
        key = _key(line)
        if key is None:
            self.damaged += 1
            sent.is_answered = True
            return sent

        def answer(error: Any, _: object) -> None:
            sent.is_answered = True
            if error is not None and _is_too_large(error):
                self.damaged += 1
            else:
                sent.error = error
                self.sent += error is None

        try:
            self._producer.produce(self._topic, line, key, on_delivery=answer)
        except Exception as error:  # a full queue, or an error found by the client itself
            answer(getattr(error, "args", [error])[0], None)
        return sent

    def _begin_again(self, error: object) -> None:
        """Restart after the last record that the broker has, with a new client."""
        self._report(f"Kafka refused a record ({error}); it will be sent again")
        self._sync()
        self._producer.purge()
        self._producer.flush(0)
        self._stopped.wait(_PAUSE)
        self._producer = self._make_producer()

    def _sync(self) -> None:
        self._synced = monotonic()
        self._spool.sync()
        # If it cannot be saved, it isn't tried again before a later one, which may free the disk.
        done, self._done = self._done, None
        if done is not None:
            self._spool.commit(done)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self._warn(problem)
        self.problem = problem


def _key(line: bytes) -> bytes | None:
    """Return the key that keeps a camera's records in order, robot/camera; None if damaged."""
    names = _NAMES.match(line)
    if names and line.endswith(b"}") and b"\0" not in line:  # as a power cut leaves a line
        return b"/".join(names.groups())
    try:
        record = json.loads(line)
        return f"{record['robot']}/{record['camera']}".encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _is_too_large(error: Any) -> bool:
    from confluent_kafka import KafkaError

    return isinstance(error, KafkaError) and error.code() == KafkaError.MSG_SIZE_TOO_LARGE
