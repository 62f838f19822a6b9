# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker's data: the detections in an image, and the tracks of people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import OBSERVED, UNTRACKED, Array, Bools, Floats, Indices, Ints, Poses, Rows
from kp_pose_ros.tracking import motion
from kp_pose_ros.tracking.motion import FIRST_KEYPOINT, KEYPOINTS, LEAST_SIZE, SIZE
from kp_pose_ros.tracking.smoothing import NEVER, Stamps

# Standard deviations of a detection: of a box, in spans; of a keypoint, in sigmas.
_BOX_NOISE, _KEYPOINT_NOISE = 0.05, 0.3
# (x1 y1 x2 y2) @ this is (centre x, width, centre y, height).
_CENTER_AND_SIZE = np.array(
    ((0.5, -1, 0, 0), (0, 0, 0.5, -1), (0.5, 1, 0, 0), (0, 0, 0.5, 1)), np.float64
)


@dataclass(slots=True)
class Detections(Rows):
    """The d poses of one image, in a form that can be compared with tracks."""

    points: Array  # (d, 2, 2 + k) x and y of box centre, box size and keypoints, pixels
    variance: Array  # (d, 2 + k) of their positions, square pixels
    seen: Bools  # (d, k), whether a keypoint is OBSERVED
    scores: Floats  # (d,)
    classes: Ints  # (d,)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def of(cls, poses: Poses, sigmas: Array) -> Detections:
        """Return the detections of `poses`; `sigmas` are (k,), see `association.sigmas_of`."""
        points = np.empty((len(poses), 2, FIRST_KEYPOINT + len(sigmas)))
        points[..., :FIRST_KEYPOINT] = (poses.boxes @ _CENTER_AND_SIZE).reshape(-1, 2, 2)
        points[..., KEYPOINTS] = poses.keypoints[..., :2].swapaxes(1, 2)
        size = points[..., SIZE]
        np.maximum(size, LEAST_SIZE, out=size)
        variance = np.empty((len(poses), points.shape[2]))
        variance[:, :FIRST_KEYPOINT] = (_BOX_NOISE**2 * np.square(size.max(axis=1)))[:, None]
        area = size[:, 0] * size[:, 1]
        variance[:, KEYPOINTS] = area[:, None] * (_KEYPOINT_NOISE * sigmas) ** 2
        return cls(points, variance, poses.states == OBSERVED, poses.scores, poses.class_ids)


@dataclass(slots=True)
class Tracks(Rows):
    """The n people who are being tracked."""

    ids: Ints  # (n,), UNTRACKED until a track is confirmed
    classes: Ints  # (n,)
    hits: npt.NDArray[np.int64]  # (n,), the number of images that showed each person
    born: Stamps  # (n,), when the first of these was taken
    seen: Stamps  # (n,), when the last of these was taken
    keypoints_seen: Stamps  # (n, k), when each keypoint was last OBSERVED, or NEVER
    motion: Array  # (n, 7, 2 + k), their positions and velocities, see `motion`
    steady: Array  # (n, k, 4), their smoothed keypoints, see `smoothing`
    steadied: Stamps  # (n, k), when these were smoothed, or NEVER

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def begin(cls, detections: Detections, stamp: int) -> Tracks:
        """Return tracks of people who are detected for the first time, without ids."""
        people, keypoints = detections.seen.shape
        return cls(
            ids=np.full(people, UNTRACKED, np.int32),
            classes=detections.classes,
            hits=np.ones(people, np.int64),
            born=np.full(people, stamp),
            seen=np.full(people, stamp),
            keypoints_seen=np.where(detections.seen, stamp, NEVER),
            motion=motion.begin(detections.points, detections.variance, detections.seen),
            steady=np.zeros((people, keypoints, 4)),
            steadied=np.full((people, keypoints), NEVER),
        )

    def update(self, rows: Indices, detections: Detections, columns: Indices, stamp: int) -> None:
        """Update with the image of this stamp: `rows` of the tracks are `columns` of detections."""
        # In the usual case, where the image shows all tracked people, nothing is copied.
        chosen = slice(None) if len(rows) == len(self) else rows
        seen = detections.seen.take(columns, axis=0)
        self.hits[chosen] += 1
        self.seen[chosen] = stamp
        self.keypoints_seen[chosen] = np.where(seen, stamp, self.keypoints_seen[chosen])
        points = detections.points.take(columns, axis=0)
        variance = detections.variance.take(columns, axis=0)
        motion.correct(self.motion, chosen, points, variance, seen)
