# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: its images in, its results out, and what became of each frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rclpy.node import Node

from kp_pose_ros.frame import Frame
from kp_pose_ros.image_message import ImageError
from kp_pose_ros.ros.mailbox import Mailbox
from kp_pose_ros.ros.outputs import Outputs
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.source import TRANSPORTS, ImageSource
from kp_pose_ros.ros.throttle import Throttle

_WARNING_PERIOD = 10.0  # seconds between two warnings about the same fault of the same camera


@dataclass(slots=True)
class Counts:
    """What became of a camera's frames; received is the sum of the others and those under way.

    Attributes:
        received: frames that arrived.
        unwanted: nobody subscribed to results.
        dropped: a newer frame, or a pause, came before the worker was free.
        bad: could not be read, by the message's field at fault.
        failed: the engine failed on them.
        processed: their poses were published.
    """

    received: int = 0
    unwanted: int = 0
    dropped: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    processed: int = 0


class Camera:
    """One camera. Its callbacks run in the executor, `read` in the worker."""

    def __init__(
        self, node: Node, name: str, parameters: Parameters, mailbox: Mailbox[Any]
    ) -> None:
        self.name = name
        self.counts = Counts()
        self.always_on = parameters.always_on
        prefix = f"{name}/" if name else ""
        self.outputs = Outputs(node, prefix)
        self.label = f"camera '{name}'" if name else "camera"
        self._logger = node.get_logger()
        self._mailbox = mailbox
        self._throttle = Throttle(_WARNING_PERIOD)
        self._transport = TRANSPORTS[parameters.image_transport]
        self._source = ImageSource(
            node,
            f"{prefix}image",
            label=self.label,
            transport=self._transport,
            qos=parameters.image_qos,
            deliver=self._on_image,
        )

    def start(self) -> None:
        """Subscribe to the images."""
        self._source.start()

    def stop(self) -> None:
        """Receive no more images."""
        self._source.stop()

    def close(self) -> None:
        """Stop, and take back the results' topics."""
        self.stop()
        self.outputs.close()

    def watch(self) -> None:
        """Look after the subscription; call at 1 Hz."""
        self._source.watch()

    def read(self, message: Any) -> Frame | None:
        """Return the frame in an image message, or None, with a warning, if it cannot be read."""
        try:
            return self._transport.to_frame(message)
        except ImageError as error:
            self.counts.bad[error.field] += 1
            if self._throttle.passes(error.field):
                self._logger.warning(
                    f"{self.label}: a frame on {self._source.topic} was left out: {error} "
                    f"({self.counts.bad[error.field]} such frames so far)"
                )
            return None

    def _on_image(self, message: Any) -> None:
        self.counts.received += 1
        if not (self.always_on or self.outputs.wanted()):
            self.counts.unwanted += 1
        elif self._mailbox.put(self.name, message):
            self.counts.dropped += 1
