# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker knows: what an image shows, and who is followed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import OBSERVED, UNTRACKED, Poses
from kp_pose_ros.tracking.motion import CENTER, FIRST_KEYPOINT, LEAST_SIZE, SIZE, Motion
from kp_pose_ros.tracking.rows import Rows
from kp_pose_ros.tracking.smoothing import NEVER, OneEuro

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Ids = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]
Stamps = npt.NDArray[np.int64]  # nanoseconds

# Standard deviations of a detection: of a box, in spans; of a keypoint, in sigmas.
_BOX_NOISE, _KEYPOINT_NOISE = 0.05, 0.3


@dataclass(slots=True)
class Sightings(Rows):
    """The d poses of one image, as the tracker looks at them.

    Attributes:
        points: (d, 2 + k, 2) box centre, box size and keypoints, pixels.
        noise: (d, 2 + k) their standard deviations, pixels.
        seen: (d, k), whether a keypoint is OBSERVED.
        scores: (d,).
        classes: (d,).
    """

    points: Array
    noise: Array
    seen: Bools
    scores: npt.NDArray[np.float32]
    classes: Ids

    @classmethod
    def of(cls, poses: Poses, sigmas: Array) -> Sightings:
        """Return what `poses` show; `sigmas` are (k,), see `association.sigmas_of`."""
        points = np.empty((len(poses), FIRST_KEYPOINT + len(sigmas), 2))
        corners = poses.boxes.reshape(-1, 2, 2).astype(np.float64)
        points[:, CENTER] = (corners[:, 0] + corners[:, 1]) / 2
        points[:, SIZE] = np.maximum(corners[:, 1] - corners[:, 0], LEAST_SIZE)
        points[:, FIRST_KEYPOINT:] = poses.keypoints[..., :2]
        width, height = points[:, SIZE, :1], points[:, SIZE, 1:]
        noise = np.empty(points.shape[:2])
        noise[:, :FIRST_KEYPOINT] = _BOX_NOISE * np.maximum(width, height)
        noise[:, FIRST_KEYPOINT:] = _KEYPOINT_NOISE * np.sqrt(width * height) * sigmas
        return cls(points, noise, poses.states == OBSERVED, poses.scores, poses.class_ids)


@dataclass(slots=True)
class Tracks(Rows):
    """The n people who are followed.

    Attributes:
        ids: (n,), UNTRACKED until a track is confirmed.
        classes: (n,).
        hits: (n,), how many images showed them.
        born: (n,), when the first of these was taken.
        seen: (n,), when the last of these was taken.
        keypoints_seen: (n, k), when each keypoint was last OBSERVED, or NEVER.
        motion: where they are and where they go.
        steady: their smoothed keypoints.
    """

    ids: Ids
    classes: Ids
    hits: Counts
    born: Stamps
    seen: Stamps
    keypoints_seen: Stamps
    motion: Motion
    steady: OneEuro

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def begin(cls, sightings: Sightings, stamp: int) -> Tracks:
        """Return tracks of people who are seen for the first time, without ids."""
        people, keypoints = sightings.seen.shape
        return cls(
            ids=np.full(people, UNTRACKED, np.int32),
            classes=sightings.classes,
            hits=np.ones(people, np.int64),
            born=np.full(people, stamp),
            seen=np.full(people, stamp),
            keypoints_seen=np.where(sightings.seen, stamp, NEVER),
            motion=Motion.begin(sightings.points, sightings.noise, sightings.seen),
            steady=OneEuro.begin(people, keypoints),
        )

    def see(self, rows: Indices, sightings: Sightings, columns: Indices, stamp: int) -> None:
        """Take in that the image of this stamp shows (m,) `rows` of them as `columns` of it."""
        seen = sightings.seen[columns]
        self.hits[rows] += 1
        self.seen[rows] = stamp
        self.keypoints_seen[rows] = np.where(seen, stamp, self.keypoints_seen[rows])
        self.motion.correct(rows, sightings.points[columns], sightings.noise[columns], seen)
