# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is published for one camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from vision_msgs.msg import Detection2DArray
from visualization_msgs.msg import MarkerArray

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.output import cdr
from kp_pose_ros.output.drawing import Annotator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros import rcl
from kp_pose_ros.ros.annotated import AnnotatedPictures, JpegSettings, Painter
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.ros.space.markers import Markers
from kp_pose_ros.ros.space.transforms import PeopleInFrame, Transforms
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.space.lift import Lifter
from kp_pose_ros.timing import StageTimes


@dataclass(frozen=True, slots=True)
class Presentation:
    """How poses become messages and pictures; made anew when parameters change.

    Attributes:
        vocabulary: what the indices in Poses mean.
        annotator: draws the annotated picture.
        jpeg: what its compressed form is like.
        painter: the thread that draws it.
        lifter: gives keypoints their positions in space.
        times: where the duration of each stage is recorded.
    """

    vocabulary: Vocabulary
    annotator: Annotator
    jpeg: JpegSettings
    painter: Painter
    lifter: Lifter
    times: StageTimes


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
            prefix: stands before each topic's name.
            in_space: whether there are `markers`.
            transforms: to the frame of people's positions; None: that of the images.
        """
        publisher = partial(node.create_publisher, qos_profile=RESULTS)
        self._node = node
        self._poses = publisher(PoseArray, f"{prefix}poses")
        self._detections = publisher(Detection2DArray, f"{prefix}detections")
        self._markers = publisher(MarkerArray, f"{prefix}markers") if in_space else None
        self._skeleton = node.create_publisher(SkeletonMsg, f"{prefix}skeleton", LATCHED)
        self.annotated = AnnotatedPictures(node, prefix)
        self._marker_builder = Markers()
        self._transforms = transforms
        self._people: PeopleInFrame | None = None  # once the skeleton is known
        results = (self._poses, self._detections, self._markers)
        self._results = [each for each in results if each is not None]

    def wanted(self) -> bool:
        """Return whether anybody subscribes to what an image would be worked on for."""
        return (
            any(each.get_subscription_count() for each in self._results) or self.annotated.wanted()
        )

    def close(self) -> None:
        """Destroy the publishers."""
        self.annotated.close()
        for publisher in (*self._results, self._skeleton):
            self._node.destroy_publisher(publisher)

    def describe(self, vocabulary: Vocabulary) -> None:
        """Publish, latched, what the indices in the messages mean."""
        self._skeleton.publish(cdr.skeleton(vocabulary))
        self._people = PeopleInFrame(vocabulary.skeleton.keypoint_names, self._transforms)

    def publish(
        self,
        header: Header,
        frame: Frame,
        poses: Poses,
        presentation: Presentation,
        keypoints_3d: npt.NDArray[np.float64] | None = None,
    ) -> None:
        """Publish what was found in an image.

        Args:
            header: its message's.
            frame: the picture.
            poses: what was found.
            presentation: how it is published.
            keypoints_3d: (n, k, 3) metres, NaN where a position is not known; None: there is no
                depth.
        """
        vocabulary, times = presentation.vocabulary, presentation.times
        if self._poses.get_subscription_count():
            with times.measure("message"):
                size = frame.source_size
                motion = None
                if self._people is not None and keypoints_3d is not None and len(poses):
                    motion = self._people.update(header, poses.track_ids, keypoints_3d)
                message = cdr.pose_array(
                    header, size, poses, vocabulary, keypoints_3d, motion=motion
                )
            with times.measure("publish"):
                rcl.publish(self._poses, np.frombuffer(message, np.uint8))
        if self._detections.get_subscription_count():
            self._detections.publish(cdr.detections(header, poses, vocabulary))
        # Without depth for once, the latest markers stay for their lifetime.
        if (
            self._markers is not None
            and keypoints_3d is not None
            and self._markers.get_subscription_count()
        ):
            with times.measure("markers"):
                markers = self._marker_builder.build(header, poses, keypoints_3d, vocabulary)
                self._markers.publish(markers)
        self.annotated.show(
            presentation.painter,
            header,
            frame,
            poses,
            annotator=presentation.annotator,
            jpeg=presentation.jpeg,
            times=times,
        )
