# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One node under faults: what was sent, what became of it, and what the node reported."""

from contextlib import contextmanager
from time import monotonic

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from node_process import PATIENCE
from peer import Peer, image_of, values_of

PICTURE = np.zeros((64, 96, 3), np.uint8)
BECAME = {
    "processed": "processed",
    "dropped": "dropped, a newer one arrived",
    "bad": "bad",
    "failed": "failed, the log says why",
    "unwanted": "unwanted, no subscriber",
}
LOST = "lost on the way"
HEADER = ["fault", "times", "sent", *BECAME, "the node said"]


class FaultRun:
    """A node process, its camera, a consumer of its poses and a reader of its diagnostics.

    Attributes:
        process: the node's, a NodeProcess.
        peer: the camera and the consumer.
        rows: of the table that is the outcome, see HEADER.
    """

    def __init__(self, ros_node, process, namespace):
        self.process = process
        self.peer = Peer(ros_node, namespace)
        self.rows = []
        self.sent = 0
        self._said = []  # (part, message), oldest first
        self._values = {}  # of the newest status of each part
        self._prefix = f"{namespace}/kp_pose: "
        self._reader = ros_node.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, 10
        )
        self._ros_node = ros_node

    def close(self):
        self._ros_node.destroy_subscription(self._reader)
        self.peer.close()

    def image(self, picture=PICTURE, encoding="bgr8"):
        """Return a good image, taken now."""
        message = image_of(picture, encoding)
        message.header.stamp = self._ros_node.get_clock().now().to_msg()
        return message

    def send(self, message):
        self.peer.publisher.publish(message)
        self.sent += 1

    def ask(self, message):
        """Send a good image and wait for its poses: the newest one is never lost."""
        self.send(message)
        self.peer.spin_until(lambda: self.peer.answers_to(message))
        return self.peer.answers_to(message)[0]

    def wait_until_said(self, phrase, part="camera"):
        """Wait for a status in diagnostics; those from before the fault do not count."""
        self.peer.spin_until(lambda: self.has_said(phrase, part))

    def settle(self):
        """Wait until nothing is under way any more, and diagnostics count all that was sent."""
        counts, latest = None, self._counts()
        while counts != latest or latest["received"] != sum(latest[each] for each in BECAME):
            counts = latest
            self.listen_anew()
            latest = self._counts()

    def connect(self):
        """Wait until the node and this process have discovered each other."""
        self.peer.connect().ask(self.image())  # may be sent more than once
        self.settle()

    def listen_anew(self):
        """Forget the statuses so far, and wait for new ones."""
        self._said.clear()
        self._values.clear()
        self.peer.spin_until(self.values)

    def has_said(self, phrase, part="camera"):
        return any(name == part and phrase in words for name, words in self._said)

    def values(self, part="camera"):
        """Values of the newest status of a part, by key; empty before the first."""
        return self._values.get(part, {})

    @contextmanager
    def fault(self, name, *, least, says="", exact=True):
        """Count what happens in the body of the `with` statement, and check what must hold.

        Args:
            name: the fault's.
            least: how often it has to happen.
            says: what diagnostics have to say about the camera meanwhile.
            exact: whether every image sent was sent by `send`, to one life of the camera's topic.
        """
        self._said.clear()
        before, sent_before = self._counts(), self.sent
        fault = Fault(self, least, says)
        yield fault
        sent = self.sent - sent_before
        if not exact:  # else images that the node did not take are not counted
            sent = None
            self.settle()
        assert self.process.process.poll() is None, f"the node ended:\n{self.process.log}"
        self.peer.spin_until(
            lambda: self._adds_up(before, sent),
            tell=lambda: f"{sent} sent: {before} became {self._counts()}",
        )
        after = self._counts()
        if after["received"] < before["received"]:  # counted anew by a node configured anew
            before = dict.fromkeys(before, 0)
        became = [after[each] - before[each] for each in BECAME]
        self.rows.append([name, fault.times, "?" if sent is None else sent, *became, says])

    def _adds_up(self, before, sent):
        now = self._counts()
        became = {key: now[key] - before[key] for key in now}
        handled = sum(became[each] for each in BECAME)
        # A starved reader may miss reliable images, which the writer then no longer keeps.
        return became["received"] == handled and sent in {None, handled + became["lost"]}

    def _counts(self):
        values = self.values()
        keys = {"received": "received", "lost": LOST, **BECAME}
        return {name: int(values.get(key, 0)) for name, key in keys.items()}

    def _on_diagnostics(self, message):
        for status in message.status:
            if status.name.startswith(self._prefix):
                part = status.name.removeprefix(self._prefix)
                self._said.append((part, status.message))
                self._values[part] = values_of(status)


class Fault:
    """Something that happens to a node again and again.

    Attributes:
        times: how often it has happened.
    """

    def __init__(self, run, least, says):
        self.times = 0
        self._run, self._least, self._says = run, least, says
        self._deadline = None

    def goes_on(self):
        """Return whether it has to happen once more: often enough, and until diagnostics tell."""
        if self.times >= self._least:
            if not self._says or self._run.has_said(self._says):
                return False
            self._deadline = self._deadline or monotonic() + PATIENCE
            assert monotonic() < self._deadline, f"diagnostics never said '{self._says}'"
            self._run.peer.spin_for(0.02)
        self.times += 1
        return True


def table(rows):
    """Return rows as text, in columns."""
    texts = [[str(each) for each in row] for row in [HEADER, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    )
