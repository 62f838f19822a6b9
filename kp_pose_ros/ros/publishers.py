# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera's results."""

from __future__ import annotations

from functools import partial

from rclpy.node import Node
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from kp_pose_ros.image.message import CameraImage
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.output import cdr
from kp_pose_ros.poses import Array, Poses
from kp_pose_ros.ros.annotated import AnnotatedPictures, Presentation
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.ros.rcl import Output
from kp_pose_ros.ros.space.markers import Markers
from kp_pose_ros.ros.space.transforms import PeopleInFrame, Transforms
from kp_pose_ros.skeleton import Vocabulary


class Publishers:
    """The publishers of one camera. The worker publishes; any thread may ask `wanted`.

    Attributes:
        annotated: those of pictures.
    """

    def __init__(
        self, node: Node, prefix: str, *, in_space: bool, transforms: Transforms | None
    ) -> None:
        """Create the publishers.

        Args:
            node: the node that publishes.
            prefix: begins each topic's name.
            in_space: whether to publish `markers`.
            transforms: to the frame of people's positions; None: that of the images.
        """
        output = partial(Output, node, qos=RESULTS)
        self._node = node
        self._poses = output(PoseArray, f"{prefix}poses")
        self._detections = output(Detection2DArray, f"{prefix}detections")
        self._markers = output(MarkerArray, f"{prefix}markers") if in_space else None
        self._skeleton = node.create_publisher(SkeletonMsg, f"{prefix}skeleton", LATCHED)
        self.annotated = AnnotatedPictures(node, prefix)
        self._marker_builder = Markers()
        self._transforms = transforms
        self._people: PeopleInFrame | None = None  # once the skeleton is known
        results = (self._poses, self._detections, self._markers)
        self._results = [each for each in results if each is not None]

    def wanted(self) -> bool:
        """Return whether any result of an image has a subscriber."""
        return any(each.wanted() for each in self._results) or self.annotated.wanted()

    def close(self) -> None:
        """Destroy the publishers."""
        self.annotated.close()
        for each in self._results:
            each.close()
        self._node.destroy_publisher(self._skeleton)

    def describe(self, vocabulary: Vocabulary) -> None:
        """Publish, latched, the meaning of the indices in the messages."""
        self._skeleton.publish(cdr.skeleton(vocabulary))
        self._people = PeopleInFrame(vocabulary.skeleton.keypoint_names, self._transforms)

    def publish(
        self,
        image: CameraImage,
        poses: Poses,
        presentation: Presentation,
        keypoints_3d: Array | None = None,
    ) -> bool:
        """Publish the poses in an image; return False if `poses` itself could not be published.

        Args:
            image: the image, which may be drawn on.
            poses: the people in it.
            presentation: how they are published.
            keypoints_3d: (n, k, 3) metres, NaN where a position is not known; None: there is no
                depth.
        """
        header, size = image.header, image.frame.source_size
        vocabulary, times = presentation.vocabulary, presentation.times
        is_published = True
        if self._poses.wanted():
            with times.measure("message"):
                motion = None
                if self._people is not None and keypoints_3d is not None:
                    motion = self._people.update(header, poses.track_ids, keypoints_3d)
                message = cdr.pose_array(
                    header, size, poses, vocabulary, keypoints_3d, motion=motion
                )
            with times.measure("publish"):
                is_published = self._poses.publish(message)
        if self._detections.wanted():
            self._detections.publish(cdr.detections(header, poses, vocabulary))
        # If an image has no depth, the latest markers stay for their lifetime.
        if self._markers and keypoints_3d is not None and self._markers.wanted():
            with times.measure("markers"):
                markers = self._marker_builder.build(header, poses, keypoints_3d, vocabulary)
                self._markers.publish(markers)
        self.annotated.show(image, poses, presentation)
        return is_published
