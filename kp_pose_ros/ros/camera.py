# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: receives its images, publishes its results and counts its images."""

from __future__ import annotations

from collections import deque
from functools import partial
from math import inf
from time import monotonic

from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.node import Node

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Size
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.image.message import CameraImage, ImageError
from kp_pose_ros.image.topics import Reader
from kp_pose_ros.poses import Array, Poses
from kp_pose_ros.ros.annotated import Presentation
from kp_pose_ros.ros.diagnostics import Counts, DuplicatePublishers, Losses
from kp_pose_ros.ros.image_subscription import ImageSubscription
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.publishers import Publishers
from kp_pose_ros.ros.space.coverage import CoverageTopic
from kp_pose_ros.ros.space.depth import DepthSource
from kp_pose_ros.ros.space.transforms import Transforms
from kp_pose_ros.ros.transports import advice, topic_of, transport_of
from kp_pose_ros.timing import Throttle

_WARNING_PERIOD = 10.0  # seconds between two warnings about the same fault of the same camera
_BUSY = 1.0  # seconds for which the worker, busy with other images, still counts as listening
_LATENCIES = 1000  # kept at most until they are taken


class Camera:
    """One camera. The worker calls `receive`, `read`, `lift`, `published`; the executor the rest.

    Attributes:
        name: the prefix of its topics; empty: none.
        label: its name in the log.
        counts: numbers of its images by outcome.
        image: size and encoding of the newest readable image.
        always_on: whether its images are processed without a subscriber.
        listened: when the worker last waited for its images, seconds of the monotonic clock.
    """

    def __init__(
        self, node: Node, name: str, parameters: Parameters, transforms: Transforms | None
    ) -> None:
        """Create the publishers; `start` subscribes.

        Raises:
            SettingsError: images of the parameter image_transport cannot be read here.
        """
        self.name = name
        self.label = f"camera '{name}'" if name else "camera"
        self.counts = Counts()
        self.image = "none"
        self.always_on = parameters.always_on
        self.listened = -inf
        self._clock = node.get_clock()
        self._logger = node.get_logger()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._stamp = -1  # of the last image processed, nanoseconds
        self._throttle = Throttle(_WARNING_PERIOD)
        self._losses = Losses()
        prefix = f"{name}/" if name else ""
        self._transforms = transforms
        self._duplicates = DuplicatePublishers(node, f"{prefix}poses", self.label)
        topic = f"{prefix}image"
        self._transport = transport_of(node.resolve_topic_name(topic), parameters.image_transport)
        self._reader = Reader(self._transport)
        self.images = ImageSubscription(
            node,
            topic_of(self._transport, node, topic),
            type_name=self._transport.type_name,
            label=self.label,
            qos=parameters.image_qos,
            queue=self._reader.queue,
            is_listening=lambda: self.busy() < _BUSY,
            on_lost=self._on_lost,
            advise=partial(advice, self._transport),
        )
        # Last of what can fail, so that a failure leaves no publishers behind.
        self.publishers = Publishers(
            node, prefix, in_space=parameters.depth.enabled, transforms=transforms
        )
        self.coverage = CoverageTopic(node, prefix, self.label, transforms)
        # Each returns whether poses are needed.
        self.wanted_by = [self.publishers.wanted, self.coverage.wanted]
        self._sources: list[ImageSubscription | CoverageTopic | DepthSource]
        self._sources = [self.images, self.coverage]
        self.depth: DepthSource | None = None
        if parameters.depth.enabled:
            self.depth = DepthSource(
                node,
                prefix,
                label=self.label,
                qos=parameters.image_qos,
                slop=parameters.depth.slop,
            )
            self._sources.append(self.depth)

    def start(self) -> None:
        """Subscribe to the images."""
        self.listened = monotonic()  # the worker is about to wait for them
        for source in self._sources:
            source.start()

    def stop(self) -> None:
        """Unsubscribe from the images."""
        for source in self._sources:
            source.stop()
        self._want_others(False)

    def close(self) -> None:
        """Stop, and destroy the publishers."""
        self.stop()
        self.publishers.close()
        self.coverage.close()

    def watch(self) -> bool:
        """Update the subscriptions, at 1 Hz; return whether that to the images is a new one."""
        if self.depth is not None:
            self.depth.watch()
        if sentence := self._losses.look(self.counts):
            self._logger.warning(f"{self.label}: {self.images.topic}: {sentence}")
        self._duplicates.watch()
        self.coverage.watch()
        # Without an image, `receive` does not do it.
        if self.images.current is None or not self.is_wanted():
            self._want_others(False)
        return self.images.watch()

    def busy(self) -> float:
        """Return the seconds since the worker last waited for the images."""
        return monotonic() - self.listened

    def is_wanted(self) -> bool:
        """Return whether the poses in the next image are needed.

        The first image is always processed, so that the network is ready for the first subscriber.
        """
        is_first = not self.counts.processed
        return is_first or self.always_on or any(wanted() for wanted in self.wanted_by)

    def receive(self) -> bool:
        """Take and count the newest image; return whether it waits for `read`, as it is needed.

        Raises: see `ImageSubscription.take`.
        """
        skipped = self._take_message()
        if skipped is None:
            return False
        while self._reader.queue > 1 and (more := self._take_message()) is not None:
            skipped += more
        is_wanted = self.is_wanted()
        self._want_others(is_wanted)
        if is_wanted:
            self.counts.dropped += skipped
        else:
            self.counts.unwanted += skipped + self._reader.skip()
        return is_wanted

    def _want_others(self, is_wanted: bool) -> None:
        """Start or stop receiving what is used together with the images."""
        if self.depth is not None:
            self.depth.want(is_wanted)
        if self._transforms is not None:
            self._transforms.want(self.name, is_wanted)

    def _take_message(self) -> int | None:
        """Hand the next message to the reader; return how many it skipped, None without one."""
        taken = self.images.take()
        if taken is None:
            return None
        content, skipped = taken
        self.counts.received += 1 + skipped
        self._reader.put(content, self.images.is_gap)
        return skipped

    def read(self, network_width: MinWidth, presentation: Presentation) -> CameraImage | None:
        """Return the image taken, or None, with a warning, if it cannot be read.

        Args:
            network_width: how many columns of a picture the network takes.
            presentation: how results are published.
        """

        def min_width(size: Size) -> int:
            annotated = self.publishers.annotated.min_width(size, presentation.jpeg)
            return max(annotated, network_width(size))

        image, unused = self._reader.read(min_width, self._complain)
        self.counts.dropped += unused
        if image is None:
            return None
        self.image = "{} x {} {}".format(*image.frame.source_size, image.frame.encoding)
        if self.depth is not None:
            self.depth.expect(image.header)
        self.coverage.expect(image.frame.source_size, network_width)
        return image

    def lift(self, image: CameraImage, poses: Poses, presentation: Presentation) -> Array | None:
        """Return the keypoints in space, (n, k, 3) metres, NaN where unknown.

        None without depth: it is off, or this image has none.
        """
        if self.depth is None:
            return None
        with presentation.times.measure("lift"):
            found = self.depth.look_up(image.header, image.frame.source_size)
            if found is None:
                self.counts.without_depth += 1
                return None
            self.counts.with_depth += 1
            return presentation.lifter.lift(poses, *found)

    def published(self, stamp: int, people: int) -> None:
        """Count an image, with its stamp in nanoseconds, whose poses have just been published."""
        self.counts.processed += 1
        self.counts.repeated += stamp == self._stamp
        self.counts.back += stamp < self._stamp
        self._stamp = stamp
        latency = (self._clock.now().nanoseconds - stamp) * 1e-9
        self._latencies.append(latency)
        if self._logger.is_enabled_for(LoggingSeverity.DEBUG):
            self._logger.debug(
                f"{self.label}: image {stamp * 1e-9:.3f} ({self.image}): {people} poses "
                f"{latency:.3f} s after its stamp"
            )

    def take_latencies(self) -> list[float]:
        """Return the seconds from stamp to publication, of the images since the last call."""
        latencies, self._latencies = self._latencies, deque(maxlen=_LATENCIES)
        return list(latencies)

    def _complain(self, error: FrameError) -> None:
        field = error.field if isinstance(error, ImageError) else "message"
        self.counts.bad[field] += 1
        if self._throttle.passes(field):
            self._logger.warning(
                f"{self.label}: an image on {self.images.topic} was skipped: {error} "
                f"({self.counts.bad[field]} such images so far)"
            )

    def _on_lost(self, images: int) -> None:
        self.counts.lost += images
