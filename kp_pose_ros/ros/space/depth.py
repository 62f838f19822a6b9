# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A camera's depth images and camera_info, matched to its images."""

from __future__ import annotations

from collections import deque
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from rclpy.node import Node
from sensor_msgs.msg import Image

from kp_pose_ros.errors import CalibrationError, FrameError, KpPoseError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.ros.executor import Gate
from kp_pose_ros.ros.image_subscription import ImageSubscription
from kp_pose_ros.ros.messages import nanoseconds
from kp_pose_ros.ros.space.calibration import Calibration
from kp_pose_ros.ros.transports import depth_advice
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.depth import DepthImage
from kp_pose_ros.space.messages import camera_of, depth_of
from kp_pose_ros.timing import Throttle

Item = TypeVar("Item")

_KEPT = 8  # items: a quarter of a second at 30 Hz; each may take megabytes
_EXPECTED = 4  # images being processed: one in the engine, one or two waiting


class Recent(Generic[Item]):
    """The latest items by stamp. One thread adds them, another looks them up."""

    def __init__(self) -> None:
        self._items: list[tuple[int, Item]] = []
        self._expected: deque[int] = deque(maxlen=_EXPECTED)
        self._lock = Lock()

    def expect(self, stamp: int) -> None:
        """Keep the item nearest to a stamp, in nanoseconds, until it is looked up.

        A slow engine may take longer than items are kept otherwise.
        """
        with self._lock:
            self._expected.append(stamp)

    def put(self, stamp: int, item: Item) -> None:
        """Add an item with its stamp, nanoseconds; this may drop the oldest one not expected."""
        with self._lock:
            self._items.append((stamp, item))
            if len(self._items) > _KEPT:
                expected = {self._nearest(each) for each in self._expected}
                index = next(i for i in range(len(self._items)) if i not in expected)
                del self._items[index]

    def nearest(self, stamp: int) -> tuple[int, Item] | None:
        """Return the item whose stamp is nearest to `stamp`, with its stamp; None if there is none.

        Older items are dropped, since later look-ups have later stamps.
        """
        with self._lock:
            while self._expected and self._expected[0] <= stamp:
                self._expected.popleft()
            if not self._items:
                return None
            del self._items[: self._nearest(stamp)]
            return self._items[0]

    def clear(self) -> None:
        """Drop all items."""
        with self._lock:
            self._items.clear()
            self._expected.clear()

    def _nearest(self, stamp: int) -> int:
        # The latest of those equally near, since some drivers leave all stamps at 0.
        latest_first = reversed(range(len(self._items)))
        return min(latest_first, key=lambda index: abs(self._items[index][0] - stamp))


_PATIENCE = 2.0  # seconds without depth before a warning; single images without it are normal
_WARNING_PERIOD = 10.0  # seconds


class DepthSource:
    """Receives depth and calibration in the executor; `look_up` runs in another thread."""

    def __init__(self, node: Node, prefix: str, *, label: str, qos: str, slop: float) -> None:
        """Prepare; `start` subscribes.

        Args:
            node: the node that subscribes.
            prefix: the prefix of each topic's name.
            label: the camera's name in the log.
            qos: the parameter image_qos.
            slop: seconds by which the stamps of an image and its depth image may differ.
        """
        self._slop = slop
        self._node = node
        self._label = label
        self._gate = Gate(node)
        self._images: Recent[Image] = Recent()
        self._source = ImageSubscription(
            node,
            f"{prefix}depth",
            type_name="sensor_msgs/msg/Image",
            label=label,
            qos=qos,
            group=self._gate,
            is_listening=lambda: self._gate.is_open,
            callback=self._on_image,
            advise=depth_advice,
        )
        self._calibration = Calibration(node, prefix, self._gate)
        self._missing_since: float | None = None  # None unless the latest images had no depth
        self._throttle = Throttle(_WARNING_PERIOD)

    def start(self) -> None:
        """Subscribe, unless already subscribed."""
        self._source.start()
        self._calibration.start()

    def stop(self) -> None:
        """Unsubscribe and drop the images; keep camera_info, which may be sent only once."""
        self._source.stop()
        self._calibration.stop()
        self._missing_since = None
        self._images.clear()

    def want(self, is_wanted: bool) -> None:
        """Start or stop taking depth images from the middleware; in any thread."""
        self._gate.want(self._label, is_wanted)

    def watch(self) -> None:
        """Update the subscriptions; call at 1 Hz."""
        self._source.watch()
        self._calibration.watch()

    def expect(self, header: Header) -> None:
        """Announce that the depth of an image with this header will be looked up."""
        self._images.expect(header.stamp)

    def look_up(
        self, header: Header, size: tuple[int, int]
    ) -> tuple[DepthImage, CameraModel] | None:
        """Return the depth image and the camera of an image of (height, width).

        None if one is missing; if that lasts, a warning says why.
        """
        try:
            found = self._find(header, size)
        except KpPoseError as error:
            self._warn(error)
            return None
        if found is not None:
            self._missing_since = None
        return found

    def _find(self, header: Header, size: tuple[int, int]) -> tuple[DepthImage, CameraModel] | None:
        stamp = header.stamp
        nearest = self._images.nearest(stamp)
        if nearest is None:
            return None  # the source warns about it
        apart = (nearest[0] - stamp) * 1e-9
        if abs(apart) > self._slop:
            raise FrameError(
                f"the nearest depth image is {abs(apart):.3f} s "
                f"{'newer' if apart > 0 else 'older'} than the image: expected at most "
                f"{self._slop:g} s; give both the same clock, or raise the parameter depth.slop"
            )
        info = self._calibration.info
        if info is None:
            raise CalibrationError(
                "no camera_info was received: expected one with each image; remap `camera_info` to "
                "the topic that the camera's driver publishes beside the images"
            )
        image = nearest[1]
        if image.header.frame_id != header.frame_id:
            raise FrameError(
                f"the depth image is in the frame '{image.header.frame_id}': expected the "
                f"image's, '{header.frame_id}'; remap `depth` to the driver's depth image that is "
                "registered to the image"
            )
        return depth_of(image), camera_of(info, size)

    def _warn(self, error: KpPoseError) -> None:
        now = monotonic()
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since >= _PATIENCE and self._throttle.passes("depth"):
            self._node.get_logger().warning(
                f"{self._label}: no keypoints_3d from {self._source.topic} and "
                f"{self._calibration.topic}: {error}"
            )

    def _on_image(self, message: Image) -> None:
        self._images.put(nanoseconds(message.header.stamp), message)
