# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks people from image to image, and smooths their keypoints.

Association follows ByteTrack (Zhang et al.: ByteTrack: Multi-Object Tracking by Associating Every
Detection Box, ECCV 2022): detections with a high score are matched first, those with a low score
can only continue the remaining tracks. Three things differ: the similarity (of keypoints, not only
of boxes), the motion model, and the limits, which are times instead of numbers of images.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kp_pose_ros.poses import OBSERVED, PREDICTED, UNTRACKED, Array, Bools, Floats, Indices, Poses
from kp_pose_ros.settings import setting
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.timing import LATE, ImageClock, OddStamps
from kp_pose_ros.tracking import motion
from kp_pose_ros.tracking.association import assign, common_shift, sigmas_of, similarity
from kp_pose_ros.tracking.motion import FIRST_KEYPOINT, POSITION, spans_of
from kp_pose_ros.tracking.smoothing import NEVER, smooth
from kp_pose_ros.tracking.tracks import Detections, Tracks

States = npt.NDArray[np.uint8]

# The lowest similarity of a track and a detection that are matched.
_SIMILAR = 0.2
_SIMILAR_UNCERTAIN = 0.4
_UNMATCHED = -1
_CUT_PEOPLE = 2  # if fewer people are replaced by others, that is no evidence of a camera cut

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """How people are followed from image to image."""

    enabled: bool = setting(True, "Give each person a persistent id.")
    high_score: float = setting(0.35, "Minimum score of a pose to start a track.", limits=(0, 1))
    min_hits: int = setting(
        2, "Consecutive images in which a person must be detected to get an id.", limits=(1, 100)
    )
    max_age: float = setting(
        1.0,
        "Seconds for which a person may be out of sight without losing their id.",
        limits=(0, 60),
    )
    smoothing: float = setting(
        0.0,
        "Smoothing of keypoints. 0: off; a higher value is steadier and lags more.",
        limits=(0, 10),
    )
    predict_ms: float = setting(
        0.0,
        "Milliseconds for which a hidden keypoint is extrapolated as PREDICTED.",
        limits=(0, 2000),
    )


class Tracker:
    """Tracks the people seen by one camera.

    `settings` may be replaced at any time; the next image uses the new ones.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        sigmas: Array,
        ids: Iterator[int] | None = None,
        camera: str = "camera",
    ) -> None:
        """Make a tracker without tracks; see also `make_trackers`.

        Args:
            settings: the user's settings.
            sigmas: (k,), the uncertainty of each keypoint; see `association.sigmas_of`.
            ids: the source of new ids; trackers that share it never give the same id twice.
            camera: its name, for the log.
        """
        self.settings = settings
        self._sigmas = sigmas
        self._ids = itertools.count(1) if ids is None else ids
        self._camera = camera
        self._no_tracks = Tracks.begin(Detections.of(Poses.empty(len(sigmas)), sigmas), 0)
        self.reset()

    def reset(self) -> None:
        """End all tracks. Their ids are not reused."""
        self._odd_stamps = OddStamps[tuple[Tracks, ImageClock]]()
        self._size: tuple[int, int] | None = None  # of the last image
        self._start_over()

    def _start_over(self) -> None:
        self._tracks = self._no_tracks
        self._clock = ImageClock()

    def update(self, poses: Poses, stamp: int, size: tuple[int, int] | None = None) -> Poses:
        """Return the same poses in the same order, with data from earlier images added.

        These are `track_ids` and `track_ages`, smooth `keypoints`, and PREDICTED `states` with the
        predicted positions. People whom the image does not show are not added.

        Args:
            poses: those found in one image; their `states` are OBSERVED or ABSENT.
            stamp: when the image was taken, nanoseconds. One that is a little older than the newest
                counts as late; one that is much older starts over. If such a stamp, or one far in
                the future, is the only one, the next image continues the tracks before it.
            size: (height, width) of the image. A change of size resets.
        """
        if not self.settings.enabled:
            self.reset()
            return poses
        self._resolve(stamp, size)
        before, self._size = self._clock.now, size
        self._clock.advance(stamp)
        if not len(poses) and not len(self._tracks):
            return poses
        self._advance(before)
        if not len(poses):
            return poses
        detections = Detections.of(poses, self._sigmas)
        certain = detections.scores >= self.settings.high_score
        rows, columns = self._match(detections, certain, before)
        self._tracks.update(rows, detections, columns, self._clock.now)
        certain[columns] = False
        newborn = certain.nonzero()[0]
        if len(newborn):
            rows = np.concatenate((rows, len(self._tracks) + np.arange(len(newborn))))
            columns = np.concatenate((columns, newborn))
            self._tracks = self._tracks.joined(Tracks.begin(detections[newborn], self._clock.now))
        self._confirm()
        return self._describe(poses, rows, columns)

    def _resolve(self, stamp: int, size: tuple[int, int] | None) -> None:
        """Choose the tracks that an image can continue, if any; log changes."""
        now = self._clock
        if now.newest is None:
            self._size = size
        self._tracks, self._clock = self._odd_stamps.resolve(stamp, (self._tracks, now))
        if self._clock is not now:
            self._warn("the stamp of the previous image was odd: tracking continues without it")
        if size != self._size:
            self._warn(
                f"the size of images changed from {self._size} to {size}: tracking starts over"
            )
            self.reset()
        elif (back := self._clock.back(stamp)) > LATE:
            self._warn(f"time jumped back by {back * 1e-9:.3f} s: tracking starts over")
            self._start_over()

    def _warn(self, text: str) -> None:
        _log.warning("%s: %s", self._camera, text)

    def _advance(self, before: int) -> None:
        """Predict all tracks from the time of the last image to now, and end those too old."""
        tracks = self._tracks
        kept = self._clock.now - tracks.seen <= self.settings.max_age * 1e9
        # A person without an id must be in every image.
        kept &= (tracks.ids != UNTRACKED) | (tracks.seen == before)
        if not kept.all():
            ended = tracks.ids[~kept]
            for track_id in ended[ended != UNTRACKED].tolist():
                _log.debug("%s: track %d ends", self._camera, track_id)
            self._tracks = tracks[kept]
        motion.predict(self._tracks.motion, (self._clock.now - before) * 1e-9)

    def _match(
        self, detections: Detections, certain: Bools, before: int
    ) -> tuple[Indices, Indices]:
        """Return the rows of matching tracks and detections."""
        tracks = self._tracks
        similarities = similarity(tracks, detections, self._sigmas)
        shift = common_shift(tracks, detections, similarities)
        if shift is not None:
            motion.shift(tracks.motion, shift)
            similarities = similarity(tracks, detections, self._sigmas)
        is_confirmed = tracks.ids != UNTRACKED
        matches = np.full(len(tracks), _UNMATCHED)
        free_tracks, free = np.ones(len(tracks), np.bool_), np.ones(len(detections), np.bool_)
        for of_tracks, of_detections, least in (
            (is_confirmed, certain, _SIMILAR),
            (is_confirmed, ~certain, _SIMILAR_UNCERTAIN),
            (~is_confirmed, certain, _SIMILAR),
        ):
            rows = (of_tracks & free_tracks).nonzero()[0]
            columns = (of_detections & free).nonzero()[0]
            if len(rows) and len(columns):
                i, j = assign(similarities[rows[:, None], columns], least)
                rows, columns = rows[i], columns[j]
                matches[rows] = columns
                free_tracks[rows] = free[columns] = False
        rows = (~free_tracks).nonzero()[0]
        if not len(rows) and certain.any():
            present = np.count_nonzero(is_confirmed & (tracks.seen == before))
            if present >= _CUT_PEOPLE:
                self._warn(
                    "nobody in the previous image is in this one, as after a camera cut: tracking "
                    "starts over"
                )
                self._tracks = self._no_tracks
        return rows, matches[rows]

    def _confirm(self) -> None:
        """Give ids to people who have been seen often enough."""
        tracks = self._tracks
        due = (tracks.ids == UNTRACKED) & (tracks.hits >= self.settings.min_hits)
        for row in due.nonzero()[0].tolist():
            tracks.ids[row] = next(self._ids)
            _log.debug("%s: track %d begins", self._camera, tracks.ids[row])

    def _describe(self, poses: Poses, rows: Indices, columns: Indices) -> Poses:
        """Return the poses with data of their tracks; `rows` of tracks are `columns` of poses."""
        tracks, settings = self._tracks, self.settings
        ids = np.full(len(poses), UNTRACKED, np.int32)
        ages = np.zeros(len(poses))
        ids[columns] = tracks.ids[rows]
        ages[columns] = (self._clock.now - tracks.born[rows]) * 1e-9
        ages[ids == UNTRACKED] = 0
        keypoints, states = poses.keypoints, poses.states
        if settings.predict_ms > 0 or settings.smoothing > 0:
            keypoints, states = keypoints.copy(), states.copy()
            found, found_states = keypoints[columns], states[columns]
            if settings.predict_ms > 0:
                self._carry_on(rows, found, found_states)
            if settings.smoothing > 0:
                self._steady(rows, found, found_states)
            keypoints[columns], states[columns] = found, found_states
        if not settings.smoothing:
            tracks.steadied[rows] = NEVER
        return Poses(poses.boxes, poses.scores, keypoints, poses.class_ids, ids, ages, states)

    def _carry_on(self, rows: Indices, found: Floats, states: States) -> None:
        """Predict the keypoints of some tracks, (m, k, 3), that have not been hidden for long."""
        hidden = self._clock.now - self._tracks.keypoints_seen[rows]
        i, k = np.nonzero((states != OBSERVED) & (hidden <= self.settings.predict_ms * 1e6))
        found[i, k, :2] = self._tracks.motion[rows[i], POSITION, FIRST_KEYPOINT + k]
        states[i, k] = PREDICTED

    def _steady(self, rows: Indices, found: Floats, states: States) -> None:
        """Smooth the keypoints of some tracks, (m, k, 3), except ABSENT ones."""
        tracks = self._tracks
        # A prediction has no score of its own.
        weights = np.where(states == PREDICTED, 1.0, found[..., 2] * (states == OBSERVED))
        tracks.steady[rows], tracks.steadied[rows] = smooth(
            tracks.steady[rows],
            tracks.steadied[rows],
            found[..., :2].astype(np.float64),
            weights,
            stamp=self._clock.now,
            spans=spans_of(tracks.motion[rows]),
            strength=self.settings.smoothing,
        )
        found[..., :2] = tracks.steady[rows, :, :2]


def make_trackers(
    skeleton: Skeleton, labels: Mapping[str, str], settings: TrackingSettings | None = None
) -> dict[str, Tracker]:
    """Return a tracker for each camera, by its name; they share one series of ids, from 1.

    Args:
        skeleton: the model's.
        labels: the name of each camera in the log, by its name.
        settings: of the trackers; None: the defaults.
    """
    sigmas, ids = sigmas_of(skeleton.name, len(skeleton)), itertools.count(1)
    settings = settings or TrackingSettings()
    if settings.enabled:
        import scipy.optimize  # noqa: F401  now, or the second image with people would wait for it

    return {name: Tracker(settings, sigmas, ids, label) for name, label in labels.items()}
