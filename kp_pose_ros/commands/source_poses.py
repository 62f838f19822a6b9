# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the poses in the frames of a picture or video."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from kp_pose_ros.image.files import Source
from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.inference.estimator import PoseEstimator
from kp_pose_ros.models.model import PoseModel
from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import Poses
from kp_pose_ros.tracking.tracker import make_trackers


def find_poses(
    source: Source, model: PoseModel, estimator: PoseEstimator, camera: str, *, began: int = 0
) -> Iterator[tuple[Pixels, Poses, dict[str, Any]]]:
    """Yield each frame, the people in it and their record. People in a video are tracked.

    Args:
        source: the picture or video.
        model: of the estimator.
        estimator: finds the poses.
        camera: the camera's name in the records.
        began: stamp of a video's first frame, nanoseconds, 0 or more.

    Raises:
        FrameError: the source cannot be read completely.
    """
    recorder = Recorder(model.vocabulary, camera=camera, session=camera)
    tracker = make_trackers(model.skeleton, {camera: camera})[camera]
    stamps: deque[int] = deque()  # of the frames that the estimator works on

    def frames() -> Iterator[Frame]:
        for stamp, picture in source.stamped():
            stamps.append(began + stamp)
            yield Frame(picture)

    for frame, poses in estimator.stream(frames()):
        stamp = stamps.popleft()
        tracked = tracker.update(poses, stamp) if source.is_video else poses
        record = recorder.record(
            tracked,
            stamp=stamp if source.is_video else None,
            frame_id=source.path.name,
            size=frame.size,
        )
        yield frame.to_bgr(), tracked, record
