# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Positions of people, as one point each, and their velocities.

Each track has a constant-velocity Kalman filter (Bar-Shalom, Li, Kirubarajan: Estimation with
Applications to Tracking and Navigation, 2001, section 6.2.2: white noise acceleration). The noise
is the same in all directions, so three numbers make up the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kp_pose_ros.poses import UNTRACKED, Array, Bools, Indices, Ints, Motion
from kp_pose_ros.timing import LATE, ImageClock, OddStamps

_ORIGIN = np.zeros(3)
_HIPS = ("left_hip", "right_hip")
_TORSO = (*_HIPS, "left_shoulder", "right_shoulder")
_LEARNING = 0.15  # weight of a new offset between two points that may represent a person
_LEAST = 2  # of these keypoints must be known

_AGITATION = 0.3  # m^2 / s^3: in a second a person changes their velocity by about 0.5 m/s
_FIRST_VELOCITY = 1.0  # m/s, standard deviation before anything is known
_KNOWN = 0.5  # m/s, standard deviation above which a velocity is not reported
_SURPRISE = 5.0  # standard deviations beyond which a measurement is ignored
_MOST_SURPRISES = 3  # ignored in a row; the next one is accepted and restarts the track
_FORGET = 5 * 10**9  # nanoseconds; a track not seen for longer is forgotten
_OF_TRACKS = ("_seen", "_state", "_variance", "_surprises", "_reference", "_offsets")


class PeopleMotion:
    """Tracks the positions of people in space, for one camera or one rig."""

    def __init__(
        self, keypoint_names: Sequence[str], deviation: tuple[float, float] = (0.015, 0.0007)
    ) -> None:
        """Start without people.

        Args:
            keypoint_names: the skeleton's.
            deviation: standard deviation of a measured position: a constant in metres, and metres
                per square metre of the squared distance from the camera, as for stereo cameras.
        """
        names = list(keypoint_names)
        self._hips, self._torso = (
            [names.index(name) for name in group if name in names] for group in (_HIPS, _TORSO)
        )
        self._deviation = deviation
        self._odd_stamps = OddStamps[dict[str, Any]]()
        self._begin()

    def _begin(self) -> None:
        self._clock = ImageClock()
        self._rows: dict[int, int] = {}  # by track
        self._seen = np.zeros(0, np.int64)
        self._state = np.zeros((0, 2, 3))  # position and velocity
        self._variance = np.zeros((0, 3))  # of the position, covariance, of the velocity
        self._surprises = np.zeros(0, np.int64)
        # The index of the position in `_points`, and its offset from each of `_sources`.
        self._reference = np.zeros(0, np.intp)
        self._offsets = np.zeros((0, len(self._torso) + 1, 3))

    def update(
        self, track_ids: Ints, keypoints_3d: Array, stamp: int, origin: Array = _ORIGIN
    ) -> Motion:
        """Return positions and velocities of the people in an image.

        Args:
            track_ids: (n,) of the people; those UNTRACKED get a position only.
            keypoints_3d: (n, k, 3) metres, in a frame that does not move; NaN where not known.
            stamp: when the image was taken, nanoseconds. A jump back drops all tracks;
                if only this image's stamp is odd, the next one continues them.
            origin: (3,) metres, where the camera was, in the same frame.
        """
        motion = Motion.unknown(len(track_ids))
        if not len(track_ids) and not self._rows:
            return motion
        self._advance(stamp)
        points = self._points(keypoints_3d)
        found = np.isfinite(points[:, 2, 0])
        best = np.isfinite(points[..., 0]).argmax(axis=1)
        motion.position[:] = points[np.arange(len(points)), best]
        constant, growing = self._deviation
        deviation = constant + growing * np.square(motion.position - origin).sum(axis=1)
        motion.position_variance[found] = deviation[found] ** 2
        people = (found & (track_ids != UNTRACKED)).nonzero()[0]
        if len(people):
            variance = motion.position_variance[people]
            self._add(track_ids[people].tolist(), best[people])
            rows = np.array([self._rows[each] for each in track_ids[people].tolist()])
            sources = self._sources(keypoints_3d[people], points[people])
            measured = self._measured(rows, sources, points[people], best[people])
            self._correct(rows, measured, variance)
            motion.position[people] = self._state[rows, 0]
            motion.position_variance[people] = self._variance[rows, 0]
            known = self._variance[rows, 2] <= _KNOWN**2
            motion.velocity[people[known]] = self._state[rows[known], 1]
            motion.velocity_variance[people[known]] = self._variance[rows[known], 2]
        return motion

    def _advance(self, stamp: int) -> None:
        """Predict all tracks to a stamp, and drop the old ones."""
        state = {name: getattr(self, name) for name in ("_clock", "_rows", *_OF_TRACKS)}
        for name, value in self._odd_stamps.resolve(stamp, state).items():
            setattr(self, name, value)
        if self._clock.back(stamp) > LATE:
            self._begin()
        before = self._clock.newest
        self._clock.advance(stamp)
        seconds = 0.0 if before is None else max(0, stamp - before) * 1e-9
        self._state[:, 0] += seconds * self._state[:, 1]
        position, covariance, velocity = self._variance.T
        position += 2 * seconds * covariance + seconds**2 * velocity + _AGITATION * seconds**3 / 3
        covariance += seconds * velocity + _AGITATION * seconds**2 / 2
        velocity += _AGITATION * seconds
        kept = self._clock.now - self._seen <= _FORGET
        if not kept.all():
            ids = [each for each, row in self._rows.items() if kept[row]]
            self._rows = {each: row for row, each in enumerate(ids)}
            self._keep(kept)

    def _keep(self, kept: Bools) -> None:
        for name in _OF_TRACKS:
            setattr(self, name, getattr(self, name)[kept])

    def _add(self, track_ids: list[int], references: Indices) -> None:
        """Add rows for new tracks."""
        new = [index for index, each in enumerate(track_ids) if each not in self._rows]
        for index in new:
            self._rows[track_ids[index]] = len(self._rows)
        count = len(new)
        self._seen = np.append(self._seen, np.full(count, self._clock.now))
        self._state = np.concatenate((self._state, np.full((count, 2, 3), np.nan)))
        self._variance = np.concatenate((self._variance, np.full((count, 3), np.nan)))
        self._surprises = np.append(self._surprises, np.zeros(count, np.int64))
        self._reference = np.append(self._reference, references[new])
        self._offsets = np.concatenate(
            (self._offsets, np.full((count, *self._offsets.shape[1:]), np.nan))
        )

    def _points(self, keypoints_3d: Array) -> Array:
        """Return the points that may represent (n,) people, best first: (n, 3 points, 3).

        They are the middle of the hips, the middle of the torso, and the median of all keypoints;
        NaN where not known.
        """
        known = np.isfinite(keypoints_3d[..., 0])
        points = np.full((len(keypoints_3d), 3, 3), np.nan)
        for index, group in enumerate((self._hips, self._torso)):
            enough = known[:, group].sum(axis=1) >= _LEAST
            points[enough, index] = _mean(keypoints_3d[enough][:, group])
        ordered = np.sort(keypoints_3d, axis=1)  # NaN comes last
        middle = np.maximum(known.sum(axis=1) - 1, 0) // 2
        points[:, 2] = ordered[np.arange(len(points)), middle]
        return points

    def _sources(self, keypoints_3d: Array, points: Array) -> Array:
        """Return the points that locate m people: torso and median, (m, torso + 1, 3)."""
        return np.concatenate((keypoints_3d[:, self._torso], points[:, 2:]), axis=1)

    def _measured(self, rows: Indices, sources: Array, points: Array, best: Indices) -> Array:
        """Return where the reference points of some tracks are, (m, 3).

        Each is the mean of the torso's keypoints, each corrected by its usual offset, so it does
        not matter which of them are seen. The first better point becomes the reference, and the
        track is moved along with it, so hips that come into sight do not look like a step.
        """
        people = np.arange(len(rows))
        offsets = self._offsets[rows]
        estimates = sources + offsets
        measured = _mean(estimates[:, :-1])
        measured = np.where(np.isfinite(measured), measured, estimates[:, -1])
        measured = np.where(np.isfinite(measured), measured, points[people, best])
        better = best < self._reference[rows]
        if better.any():
            measured[better] = self._state[rows[better], 0] = points[better, best[better]]
            offsets[better] = np.nan
            self._reference[rows[better]] = best[better]
        reference = points[people, self._reference[rows]]
        reference = np.where(np.isfinite(reference), reference, measured)
        news = reference[:, None] - sources
        learned = np.where(np.isfinite(offsets), offsets + _LEARNING * (news - offsets), news)
        self._offsets[rows] = np.where(np.isfinite(news), learned, offsets)
        return measured

    def _correct(self, rows: Indices, measured: Array, variance: Array) -> None:
        state, covariance = self._state[rows], self._variance[rows]
        error = measured - state[:, 0]
        expected = covariance[:, 0] + variance
        surprising = np.square(error).sum(axis=1) > _SURPRISE**2 * expected
        surprises = np.where(surprising, self._surprises[rows] + 1, 0)
        anew = ~np.isfinite(error[:, 0]) | (surprises > _MOST_SURPRISES)
        used = ~surprising & ~anew
        gains = np.where(used[:, None], covariance[:, :2] / expected[:, None], 0)
        state += gains[..., None] * error[:, None]
        covariance[:, 2] -= gains[:, 1] * covariance[:, 1]
        covariance[:, :2] *= 1 - gains[:, :1]
        state[anew, 0], state[anew, 1] = measured[anew], 0
        covariance[anew] = np.column_stack(
            (variance[anew], np.zeros(anew.sum()), np.full(anew.sum(), _FIRST_VELOCITY**2))
        )
        self._state[rows], self._variance[rows] = state, covariance
        self._surprises[rows] = np.where(anew, 0, surprises)
        self._seen[rows] = self._clock.now


def _mean(points: Array) -> Array:
    """Return the (m, 3) means of (m, group, 3) points without NaN; NaN where all are NaN."""
    known = np.isfinite(points)
    counts = known.sum(axis=1)
    return np.where(
        counts > 0, np.where(known, points, 0).sum(axis=1) / np.maximum(counts, 1), np.nan
    )
