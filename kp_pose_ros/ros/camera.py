# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: its images in, its results out, and what became of each frame."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from std_msgs.msg import Header

from kp_pose_ros.image.frame import Frame, Size
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import ImageError
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.depth import DepthSource
from kp_pose_ros.ros.gate import Gate
from kp_pose_ros.ros.health import Counts
from kp_pose_ros.ros.losses import Losses
from kp_pose_ros.ros.mailbox import Mailbox
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.presentation import JpegSettings, Presentation
from kp_pose_ros.ros.publishers import Outputs
from kp_pose_ros.ros.receive import TRANSPORTS, ImageSource
from kp_pose_ros.ros.throttle import Throttle

_WARNING_PERIOD = 10.0  # seconds between two warnings about the same fault of the same camera
_LATENCIES = 1000  # kept between two looks at them


class Camera:
    """One camera. Its callbacks run in the executor, `read` in the worker."""

    def __init__(
        self, node: Node, name: str, parameters: Parameters, mailbox: Mailbox[Any]
    ) -> None:
        self.name = name
        self.counts = Counts()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._clock = node.get_clock()
        self._stamp = -1  # of the image processed last, nanoseconds
        self.image = "none"  # what the newest one that could be read is like
        self.always_on = parameters.always_on
        prefix = f"{name}/" if name else ""
        self.outputs = Outputs(node, prefix, in_space=parameters.depth.enabled)
        self.wanted_by = [self.outputs.wanted]  # each says whether somebody waits for poses
        self.label = f"camera '{name}'" if name else "camera"
        self._logger = node.get_logger()
        self._mailbox = mailbox
        self._throttle = Throttle(_WARNING_PERIOD)
        self._losses = Losses()
        self._transport = TRANSPORTS[parameters.image_transport]
        self._source = ImageSource(
            node,
            f"{prefix}image",
            label=self.label,
            transport=self._transport,
            qos=parameters.image_qos,
            gate=Gate(lambda: mailbox.wants(name)),
            deliver=self._on_image,
            on_lost=self._on_lost,
        )
        self.depth = (
            DepthSource(
                node,
                prefix,
                label=self.label,
                qos=parameters.image_qos,
                gate=Gate(self._is_wanted),
                slop=parameters.depth.slop,
            )
            if parameters.depth.enabled
            else None
        )
        self._sources: list[ImageSource | DepthSource] = [self._source]
        if self.depth is not None:
            self._sources.append(self.depth)

    def start(self) -> None:
        """Subscribe to the images."""
        for source in self._sources:
            source.start()

    def stop(self) -> None:
        """Receive no more images."""
        for source in self._sources:
            source.stop()

    def close(self) -> None:
        """Stop, and take back the results' topics."""
        self.stop()
        self.outputs.close()

    def watch(self) -> None:
        """Look after the subscription; call at 1 Hz."""
        for source in self._sources:
            source.watch()
        if sentence := self._losses.look(self.counts):
            self._logger.warning(f"{self.label}: {self._source.topic}: {sentence}")

    def read(self, message: Any, network_columns: MinWidth, jpeg: JpegSettings) -> Frame | None:
        """Return the frame in an image message, or None, with a warning, if it cannot be read.

        Args:
            message: the image's.
            network_columns: how many columns of a picture the network takes in.
            jpeg: what a compressed annotated picture is like.
        """

        def min_width(size: Size) -> int:
            seen = self.outputs.annotated.columns(size, message.header, jpeg)
            return max(seen, network_columns(size))

        try:
            frame = self._transport.to_frame(message, min_width)
        except ImageError as error:
            self.counts.bad[error.field] += 1
            if self._throttle.passes(error.field):
                self._logger.warning(
                    f"{self.label}: a frame on {self._source.topic} was left out: {error} "
                    f"({self.counts.bad[error.field]} such frames so far)"
                )
            return None
        self.image = "{} x {} {}".format(*frame.source_size, frame.encoding)
        return frame

    def locate(
        self, header: Header, frame: Frame, poses: Poses, presentation: Presentation
    ) -> npt.NDArray[np.float64] | None:
        """Return where the keypoints in a frame are, (n, k, 3) metres, NaN where not known.

        None without depth: it is off, or none is there for this frame at this moment.
        """
        if self.depth is None:
            return None
        with presentation.times.measure("lift"):
            found = self.depth.look_up(header, frame.source_size)
            if found is None:
                self.counts.without_depth += 1
                return None
            self.counts.with_depth += 1
            return presentation.lifter.lift(poses, *found)

    def processed(self, stamp: int) -> None:
        """Take note that the poses of an image of this stamp, in nanoseconds, were published."""
        self.counts.processed += 1
        self.counts.repeated += stamp == self._stamp
        self.counts.back += stamp < self._stamp
        self._stamp = stamp
        self._latencies.append((self._clock.now().nanoseconds - stamp) * 1e-9)

    def take_latencies(self) -> list[float]:
        """Return the seconds from stamp to publish of the images since the last call."""
        latencies, self._latencies = self._latencies, deque(maxlen=_LATENCIES)
        return list(latencies)

    def age(self) -> float | None:
        """Return the seconds since the newest image came; None before the first."""
        return self._source.age()

    def _on_lost(self, images: int) -> None:
        self.counts.lost += images

    def _on_image(self, message: Any, skipped: int) -> None:
        self.counts.received += 1 + skipped
        self.counts.dropped += skipped
        # The first one opens its network, before somebody waits for poses.
        if self.counts.processed and not self._is_wanted():
            self.counts.unwanted += 1
            return
        if self.depth is not None:
            self.depth.expect(message.header)
        if self._mailbox.put(self.name, message):
            self.counts.dropped += 1

    def _is_wanted(self) -> bool:
        return self.always_on or any(wanted() for wanted in self.wanted_by)
