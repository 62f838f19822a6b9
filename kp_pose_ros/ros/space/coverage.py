# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`coverage`: the region in which the network would find a person in a camera's images."""

from __future__ import annotations

from dataclasses import asdict

from geometry_msgs.msg import Point32, PolygonStamped
from rclpy.node import Node

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Size
from kp_pose_ros.image.jpeg import MinWidth
from kp_pose_ros.msg import Coverage as CoverageMsg
from kp_pose_ros.ros.messages import header_to_msg
from kp_pose_ros.ros.qos import RESULTS
from kp_pose_ros.ros.rcl import Output
from kp_pose_ros.ros.space.calibration import Calibration
from kp_pose_ros.ros.space.transforms import Transforms
from kp_pose_ros.space.coverage import PERSON_HEIGHT, RECALL, Coverage, coverage_of, floor_of
from kp_pose_ros.space.messages import camera_of


class CoverageTopic:
    """Publishes the coverage of one camera's images, once it has sent a camera_info.

    The worker calls `expect` and `publish`, the executor everything else. One camera_info is
    enough: the subscription then ends, until images arrive that the camera_info does not fit.
    """

    def __init__(self, node: Node, prefix: str, label: str, transforms: Transforms | None) -> None:
        """Create the publisher.

        Args:
            node: the node that publishes.
            prefix: precedes the topics' names.
            label: names the camera in the log.
            transforms: to a frame on the floor; None: there is none.
        """
        self._node = node
        self._label = label
        self._transforms = transforms
        self._output = Output(node, CoverageMsg, f"{prefix}coverage", RESULTS)
        self._calibration = Calibration(node, prefix)
        self._image: tuple[Size, MinWidth] | None = None  # of the newest image
        self._known: tuple[Size, MinWidth] | None = None  # the one that `_coverage` is for
        self._coverage: Coverage | None = None
        self._problem = ""
        self._is_started = False

    def start(self) -> None:
        """Subscribe to camera_info, unless it is known."""
        self._is_started = True
        if self._known is None:
            self._calibration.start()

    def stop(self) -> None:
        """Unsubscribe."""
        self._is_started = False
        self._calibration.stop()

    def close(self) -> None:
        """Destroy the publisher."""
        self._output.close()

    def wanted(self) -> bool:
        """Return whether the topic has a subscriber."""
        return self._output.wanted()

    def facts(self) -> dict[str, str]:
        """Return the values for /diagnostics."""
        known = self._coverage
        reach = "unknown without camera_info" if known is None else f"{known.max_distance:.1f}"
        return {f"detects a person of {PERSON_HEIGHT} m up to (m)": self._problem or reach}

    def watch(self) -> None:
        """Update the subscription and the coverage; call at 1 Hz."""
        self._calibration.watch()
        info, image = self._calibration.info, self._image
        if not self._is_started or info is None or image is None or image == self._known:
            return
        size, network_width = image
        try:
            coverage = coverage_of(camera_of(info, size), network_width(size))
        except CalibrationError as error:
            self._coverage = self._known = None
            self._calibration.start()
            if self._problem != str(error):
                self._node.get_logger().warning(f"{self._label}: coverage is unknown: {error}")
            self._problem = str(error)
            return
        self._calibration.stop()
        self._coverage, self._known, self._problem = coverage, image, ""

    def expect(self, size: Size, network_width: MinWidth) -> None:
        """Note the size of the images.

        Args:
            size: (height, width) of the newest image, pixels.
            network_width: returns how many columns of an image reach the network.
        """
        self._image = size, network_width

    def publish(self, header: Header) -> None:
        """Publish the coverage of the image with this header, if known."""
        known = self._coverage
        if known is not None and self._image == self._known and self.wanted():
            message = CoverageMsg(header=header_to_msg(header), recall=RECALL, **asdict(known))
            message.floor = self._floor(known, header)
            self._output.publish(message)

    def _floor(self, coverage: Coverage, header: Header) -> PolygonStamped:
        found = PolygonStamped()
        if self._transforms is None:
            return found
        pose = self._transforms.at(header)
        if pose is not None:
            found.header = header_to_msg(Header(header.stamp, self._transforms.frame_id))
            corners = floor_of(coverage, *pose).tolist()
            found.polygon.points = [Point32(x=x, y=y) for x, y in corners]
        return found
