# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`poses_3d`: the people seen by several cameras of the node, in their common frame."""

from __future__ import annotations

from time import monotonic

from rclpy.node import Node

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.image.frame import Size
from kp_pose_ros.msg import PoseArray
from kp_pose_ros.msg import Skeleton as SkeletonMsg
from kp_pose_ros.output import cdr
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.annotated import Presentation
from kp_pose_ros.ros.parameters import Parameters
from kp_pose_ros.ros.qos import LATCHED, RESULTS
from kp_pose_ros.ros.rcl import Output
from kp_pose_ros.ros.space.transforms import PeopleInFrame, Transforms
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.space.multi_camera.joining import MultiCamera
from kp_pose_ros.space.multi_camera.rig_file import RigFile
from kp_pose_ros.space.multi_camera.synchronizer import Synchronizer
from kp_pose_ros.timing import Throttle

# Seconds.
_WARNING_PERIOD = 10.0  # between two warnings about the same fault
_DEVIATION = 0.02, 0.0  # metres, of a position, independent of its distance from the cameras
_PATIENCE = 5.0  # without images of the same time, before a warning


class Poses3DTopic:
    """Joins poses of the node's cameras taken at the same time. One thread calls `add`."""

    def __init__(self, node: Node, parameters: Parameters, transforms: Transforms | None) -> None:
        """Read the rig and create the publishers on `node`.

        Raises:
            CalibrationError: the rig cannot be used, or does not have the node's cameras.
        """
        path = parameters.rig.file
        rig = RigFile.load(path)
        if set(rig.viewpoints) != set(parameters.cameras):
            raise CalibrationError(
                f"rig {path} has the cameras {', '.join(rig.viewpoints)}: expected those of the "
                f"parameter 'cameras', which are {', '.join(map(repr, parameters.cameras))}"
            )
        self._frame_id = rig.frame_id
        self._sizes = {name: view.camera.size for name, view in rig.viewpoints.items()}
        self._multi_camera = MultiCamera(rig.viewpoints)
        self._synchronizer: Synchronizer[tuple[Header, Poses]] = Synchronizer(
            rig.viewpoints, round(parameters.rig.slop * 1e9)
        )
        self._slop = parameters.rig.slop
        self._joined: float | None = None  # when images of the same time last arrived
        self._node = node
        self._transforms = transforms
        self._throttle = Throttle(_WARNING_PERIOD)
        self._is_interrupted = False
        self._poses = Output(node, PoseArray, "poses_3d", RESULTS)
        self._skeleton = node.create_publisher(SkeletonMsg, "skeleton", LATCHED)

    def wanted(self) -> bool:
        """Return whether `poses_3d` has a subscriber; if not, drop the poses that wait."""
        is_wanted = self._poses.wanted()
        if not is_wanted:
            self.interrupt()
        return is_wanted

    def interrupt(self) -> None:
        """Note that images are missing, so that the next ones are not joined with any before."""
        self._is_interrupted = True

    def close(self) -> None:
        """Destroy the publishers."""
        self._poses.close()
        self._node.destroy_publisher(self._skeleton)

    def describe(self, vocabulary: Vocabulary) -> None:
        """Publish, latched, the meaning of the indices in the messages."""
        self._skeleton.publish(cdr.skeleton(vocabulary))
        names = vocabulary.skeleton.keypoint_names
        self._people = PeopleInFrame(names, self._transforms, _DEVIATION)

    def add(
        self, camera: str, header: Header, size: Size, poses: Poses, presentation: Presentation
    ) -> None:
        """Add the poses of an image of (height, width) pixels; publish the sets it completes."""
        if not self.wanted():
            return
        if self._is_interrupted:
            self._is_interrupted = False
            self._synchronizer.clear()
            self._joined = None
        if size != self._sizes[camera]:
            self._warn_of_size(camera, size)
            return
        sets = self._synchronizer.put(camera, header.stamp, (header, poses))
        self._watch_stamps(bool(sets))
        for views in sets:
            newest, _ = max(views.values(), key=lambda seen: seen.stamp).item
            common = Header(newest.stamp, self._frame_id)
            with presentation.times.measure("join"):
                of_each = {name: seen.item[1] for name, seen in views.items()}
                people, keypoints_3d, tracks = self._multi_camera.join(of_each)
            message = cdr.pose_array(
                common,
                (0, 0),
                people,
                presentation.vocabulary,
                keypoints_3d,
                motion=self._people.update(common, people.track_ids, keypoints_3d),
                joined=tracks,
            )
            self._poses.publish(message)

    def _watch_stamps(self, is_joined: bool) -> None:
        """Warn if several cameras send images, but none taken at the same time."""
        now, newest = monotonic(), self._synchronizer.newest()
        if is_joined or len(newest) < 2 or self._joined is None:
            self._joined = now
        elif now - self._joined > _PATIENCE and self._throttle.passes("stamps"):
            stamps = ", ".join(f"{name} {stamp * 1e-9:.3f}" for name, stamp in newest.items())
            self._node.get_logger().warning(
                f"poses_3d: for {now - self._joined:.0f} s no two cameras had images of the same "
                f"time; their newest stamps are {stamps} s: expected at most {self._slop:g} s "
                "between them; give the cameras one clock, or raise the parameter rig.slop"
            )

    def _warn_of_size(self, camera: str, size: Size) -> None:
        if self._throttle.passes(camera):
            found, expected = (
                f"{width} x {height}" for height, width in (size, self._sizes[camera])
            )
            self._node.get_logger().warning(
                f"camera '{camera}' is left out of poses_3d: its images have {found} pixels, "
                f"expected {expected} as in its calibration; calibrate it at that size"
            )
