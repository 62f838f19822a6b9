# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is published for one camera."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.annotated import AnnotatedPictures
from kp_pose_ros.ros.markers import Markers
from kp_pose_ros.ros.messages import (
    Vocabulary,
    detections_to_msg,
    poses_to_msg,
    skeleton_to_msg,
)
from kp_pose_ros.ros.presentation import Presentation
from kp_pose_ros.ros.qos import LATCHED, RESULTS


class Outputs:
    """The publishers of one camera. One thread publishes; `wanted` may be asked by any.

    Attributes:
        annotated: those of pictures.
    """

    def __init__(self, node: Node, prefix: str, *, in_space: bool) -> None:
        """Create the publishers.

        Args:
            node: the node that publishes.
            prefix: stands before each topic's name.
            in_space: whether there are `markers`.
        """
        self._node = node
        self._poses = node.create_publisher(PoseArray, f"{prefix}poses", RESULTS)
        self._detections = node.create_publisher(Detection2DArray, f"{prefix}detections", RESULTS)
        self.annotated = AnnotatedPictures(node, prefix)
        self._skeleton = node.create_publisher(SkeletonMsg, f"{prefix}skeleton", LATCHED)
        self._in_space = (
            [node.create_publisher(MarkerArray, f"{prefix}markers", RESULTS)] if in_space else []
        )
        self._markers = Markers()

    def wanted(self) -> bool:
        """Return whether anybody subscribes to what a frame would be looked at for."""
        publishers = (self._poses, self._detections, *self._in_space)
        return self.annotated.wanted() or any(
            publisher.get_subscription_count() for publisher in publishers
        )

    def close(self) -> None:
        """Destroy the publishers."""
        self.annotated.close()
        for publisher in (self._poses, self._detections, self._skeleton, *self._in_space):
            self._node.destroy_publisher(publisher)

    def describe(self, vocabulary: Vocabulary) -> None:
        """Publish, for good, what the indices in the messages mean."""
        self._skeleton.publish(skeleton_to_msg(vocabulary))

    def publish(
        self,
        header: Header,
        frame: Frame,
        poses: Poses,
        presentation: Presentation,
        places: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Publish what was found in a frame.

        Args:
            header: its message's.
            frame: the frame.
            poses: what was found.
            presentation: how it is published.
            places: (n, k, 3) metres, where the keypoints are in space, NaN where that is not known;
                None: there is no depth.
        """
        vocabulary, times = presentation.vocabulary, presentation.times
        if self._poses.get_subscription_count():
            with times.measure("message"):
                message = poses_to_msg(poses, header, frame.source_size, vocabulary, places)
            with times.measure("publish"):
                self._poses.publish(message)
        if self._detections.get_subscription_count():
            self._detections.publish(detections_to_msg(poses, header, vocabulary))
        for publisher in self._in_space:
            # Without depth for once, the latest markers stay for their lifetime.
            if places is not None and publisher.get_subscription_count():
                with times.measure("markers"):
                    message = self._markers.build(header, poses, places, vocabulary)
                    publisher.publish(message)
        self.annotated.publish(header, frame, poses, presentation)
