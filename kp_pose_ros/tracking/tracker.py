# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracker: who is who from image to image, and their keypoints made steady.

Association follows ByteTrack (Zhang et al.: ByteTrack: Multi-Object Tracking by Associating Every
Detection Box, ECCV 2022): certain poses are matched first, uncertain ones only continue tracks that
are left over. Different are the measure of likeness (keypoints, not only boxes), the motion model,
and that limits are times, not numbers of images.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import OBSERVED, PREDICTED, UNTRACKED, Floats, Poses
from kp_pose_ros.tracking.association import assign, common_shift, similarity
from kp_pose_ros.tracking.motion import FIRST_KEYPOINT
from kp_pose_ros.tracking.settings import TrackingSettings
from kp_pose_ros.tracking.smoothing import NEVER
from kp_pose_ros.tracking.tracks import Sightings, Tracks

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
States = npt.NDArray[np.uint8]

# How alike a track and a pose are at least, see association.similarity.
_ALIKE = 0.2
_ALIKE_UNCERTAIN = 0.4
_ALONE = -1
_CUT_PEOPLE = 2  # one person who is gone and another who is there may be no cut

_log = logging.getLogger(__name__)


class Tracker:
    """Follows the people of one camera.

    `settings` may be replaced at any time; the next image uses the new ones.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        sigmas: Array,
        ids: Iterator[int] | None = None,
        camera: str = "camera",
    ) -> None:
        """Follow nobody yet.

        Args:
            settings: what the user chose.
            sigmas: (k,), how far people disagree on each keypoint; see `association.sigmas_of`.
            ids: where new ids come from; trackers that share it never give the same id twice.
            camera: its name, for the log.
        """
        self.settings = settings
        self._sigmas = sigmas
        self._ids = itertools.count() if ids is None else ids
        self._camera = camera
        self._nobody = Tracks.begin(Sightings.of(Poses.empty(len(sigmas)), sigmas), 0)
        self.reset()

    def reset(self) -> None:
        """Forget everybody. Their ids are not given again."""
        self._tracks = self._nobody
        self._stamp: int | None = None  # of the last image
        self._size: tuple[int, int] | None = None  # of the last image

    def update(self, poses: Poses, stamp: int, size: tuple[int, int] | None = None) -> Poses:
        """Return the same poses in the same order, with what is known from earlier images.

        These are `track_ids` and `track_ages`, steady `keypoints`, and PREDICTED `states` with the
        positions predicted. Whom the image does not show is not among them.

        Args:
            poses: what the model found in one image, `states` being OBSERVED or ABSENT.
            stamp: when the image was taken, nanoseconds. One before the last image's resets.
            size: (height, width) of the image. Another one than the last image's resets.
        """
        if not self.settings.enabled:
            self.reset()
            return poses
        if size != self._size and self._stamp is not None:
            _log.warning(
                "%s: the size of images changed from %s to %s: all tracks begin anew",
                self._camera,
                self._size,
                size,
            )
            self.reset()
        self._size = size
        self._advance(stamp)
        sightings = Sightings.of(poses, self._sigmas)
        rows, columns = self._match(sightings)
        self._tracks.see(rows, sightings, columns, stamp)
        newborn = self._certain(sightings)
        newborn[columns] = False
        if newborn.any():
            rows = np.concatenate((rows, len(self._tracks) + np.arange(newborn.sum())))
            columns = np.concatenate((columns, np.flatnonzero(newborn)))
            self._tracks = self._tracks.joined(Tracks.begin(sightings[newborn], stamp))
        self._confirm()
        self._stamp = stamp
        return self._describe(poses, rows, columns, stamp)

    def _advance(self, stamp: int) -> None:
        """Move all tracks to a stamp and end those that are too old."""
        if self._stamp is None:
            return
        if stamp < self._stamp:
            _log.warning(
                "%s: time jumped back by %.3f s: all tracks begin anew",
                self._camera,
                (self._stamp - stamp) * 1e-9,
            )
            self.reset()
            return
        tracks = self._tracks
        kept = stamp - tracks.seen <= self.settings.max_age * 1e9
        # Somebody without an id is not waited for.
        kept &= (tracks.ids != UNTRACKED) | (tracks.seen == self._stamp)
        if not kept.all():
            self._tracks = tracks[kept]
        self._tracks.motion.predict((stamp - self._stamp) * 1e-9)

    def _certain(self, sightings: Sightings) -> Bools:
        return sightings.scores >= self.settings.high_score

    def _match(self, sightings: Sightings) -> tuple[Indices, Indices]:
        """Return the rows of tracks and of sightings that belong together."""
        tracks = self._tracks
        alike = similarity(tracks, sightings, self._sigmas)
        shift = common_shift(tracks, sightings, alike)
        if shift is not None:
            tracks.motion.shift(shift)
            alike = similarity(tracks, sightings, self._sigmas)
        confirmed, certain = tracks.ids != UNTRACKED, self._certain(sightings)
        mates = np.full(len(tracks), _ALONE)
        free = np.ones(len(certain), np.bool_)
        for of_tracks, of_sightings, least in (
            (confirmed, certain, _ALIKE),
            (confirmed, ~certain, _ALIKE_UNCERTAIN),
            (~confirmed, certain, _ALIKE),
        ):
            if not (of_tracks.any() and of_sightings.any()):
                continue
            rows = np.flatnonzero(of_tracks & (mates == _ALONE))
            columns = np.flatnonzero(of_sightings & free)
            if len(rows) and len(columns):
                i, j = assign(alike[rows[:, None], columns], least)
                mates[rows[i]] = columns[j]
                free[columns[j]] = False
        rows = np.flatnonzero(mates != _ALONE)
        present = confirmed & (tracks.seen == self._stamp)
        if not len(rows) and present.sum() >= _CUT_PEOPLE and certain.any():
            _log.warning(
                "%s: nobody of the last image is in this one, which looks like a camera cut: "
                "all tracks begin anew",
                self._camera,
            )
            self._tracks = self._nobody
        return rows, mates[rows]

    def _confirm(self) -> None:
        """Give ids to those who have been seen often enough."""
        tracks = self._tracks
        due = np.flatnonzero((tracks.ids == UNTRACKED) & (tracks.hits >= self.settings.min_hits))
        if len(due):
            tracks.ids[due] = [next(self._ids) for _ in due]

    def _describe(self, poses: Poses, rows: Indices, columns: Indices, stamp: int) -> Poses:
        """Return the poses with what their tracks know; `rows` of tracks are `columns` of poses."""
        tracks = self._tracks
        ids, ages = poses.track_ids.copy(), poses.track_ages.copy()
        ids[columns] = tracks.ids[rows]
        ages[columns] = np.where(ids[columns] != UNTRACKED, (stamp - tracks.born[rows]) * 1e-9, 0)
        found, states = poses.keypoints[columns], poses.states[columns]
        if self.settings.predict_ms > 0:
            self._carry_on(rows, found, states, stamp)
        if self.settings.smoothing > 0:
            self._steady(rows, found, states, stamp)
        else:
            tracks.steady.stamps[rows] = NEVER
        keypoints, all_states = poses.keypoints.copy(), poses.states.copy()
        keypoints[columns], all_states[columns] = found, states
        return replace(
            poses, keypoints=keypoints, track_ids=ids, track_ages=ages, states=all_states
        )

    def _carry_on(self, rows: Indices, found: Floats, states: States, stamp: int) -> None:
        """Predict the keypoints of some tracks, (m, k, 3), that have not been hidden for long."""
        hidden = stamp - self._tracks.keypoints_seen[rows]
        i, k = np.nonzero((states != OBSERVED) & (hidden <= self.settings.predict_ms * 1e6))
        found[i, k, :2] = self._tracks.motion.position[rows[i], FIRST_KEYPOINT + k]
        states[i, k] = PREDICTED

    def _steady(self, rows: Indices, found: Floats, states: States, stamp: int) -> None:
        """Smooth the keypoints of some tracks, (m, k, 3), but ABSENT ones."""
        # A prediction has no score of its own.
        weights = np.where(states == PREDICTED, 1.0, found[..., 2] * (states == OBSERVED))
        found[..., :2] = self._tracks.steady.update(
            rows,
            found[..., :2].astype(np.float64),
            weights,
            stamp=stamp,
            spans=self._tracks.motion.spans[rows],
            strength=self.settings.smoothing,
        )
