# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Joins poses of several cameras at one time into people in space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import numpy as np

from kp_pose_ros.poses import ABSENT, UNTRACKED, Array, Indices, Ints, Poses
from kp_pose_ros.space.multi_camera.rig import Viewpoint
from kp_pose_ros.space.multi_camera.triangulation import MISSING, Triangulator

_KEPT = 1000  # tracks for which the joined person's id is remembered


class JoinedPeople(NamedTuple):
    """The m people whom two or more cameras show, best score first.

    Attributes:
        poses: one per person, with the best score and the age of the oldest of the joined poses,
            and an id of its own. Since this is not an image, box and keypoints are zero, and the
            keypoints ABSENT; a keypoint's score is the best one that a camera gives it.
        keypoints_3d: (m, k, 3), metres in the common frame; NaN where unknown.
        tracks: for each person, the track ids by the name of the camera that shows them.
    """

    poses: Poses
    keypoints_3d: Array
    tracks: list[dict[str, int]]


class MultiCamera:
    """Joins the poses that the cameras of a rig see at the same time."""

    def __init__(self, viewpoints: Mapping[str, Viewpoint]) -> None:
        """Prepare to join the poses of some cameras, by name.

        Raises:
            CalibrationError: fewer than two cameras, or two at the same place.
        """
        self._triangulator = Triangulator(list(viewpoints.values()))
        self._cameras = tuple(viewpoints)
        self._ids = _Ids()

    def join(self, views: Mapping[str, Poses]) -> JoinedPeople:
        """Return the people whom two or more cameras show.

        Args:
            views: by name, the poses of one or more of the cameras, all of one skeleton.
        """
        count = next(iter(views.values())).keypoints.shape[1]
        poses = [views.get(name, Poses.empty(count)) for name in self._cameras]
        joined = self._triangulator.join(poses)
        somewhere = np.isfinite(joined.points[..., 2]).any(axis=1)
        members, keypoints_3d = joined.members[somewhere], joined.points[somewhere]
        people = self._people(poses, members)
        order = np.argsort(-people.scores, kind="stable")
        tracks = [
            {
                camera: int(view.track_ids[index])
                for camera, view, index in zip(self._cameras, poses, of_person, strict=True)
                if index != MISSING
            }
            for of_person in members[order].tolist()
        ]
        return JoinedPeople(people[order], keypoints_3d[order], tracks)

    def _people(self, views: list[Poses], members: Indices) -> Poses:
        """Return a pose for each row of (m, views) indices into the views' poses."""
        everybody = _concatenated(views)
        offsets = np.cumsum([0, *(len(view) for view in views[:-1])])
        rows = np.where(members == MISSING, -1, members + offsets)  # the last row is a placeholder
        scores = everybody.scores[rows]
        best = rows[np.arange(len(rows)), scores.argmax(axis=1)]
        seen = everybody.states[rows] != ABSENT
        keypoints = np.zeros((len(rows), everybody.keypoints.shape[1], 3), np.float32)
        keypoints[..., 2] = np.where(seen, everybody.keypoints[rows, :, 2], 0).max(axis=1)
        return Poses(
            boxes=np.zeros((len(rows), 4), np.float32),
            scores=scores.max(axis=1),
            keypoints=keypoints,
            class_ids=everybody.class_ids[best],
            track_ids=self._ids.of(everybody.track_ids[rows]),
            track_ages=everybody.track_ages[rows].max(axis=1),
            states=np.full(keypoints.shape[:2], ABSENT, np.uint8),
        )


class _Ids:
    """Ids that stay with a person while any of their tracks continues; none is used twice."""

    def __init__(self) -> None:
        self._new = itertools.count(1)
        self._known: dict[int, int] = {}  # track -> person

    def of(self, tracks: Ints) -> Ints:
        """Return (m,) ids of people from the (m, views) ids of their tracks, UNTRACKED for none."""
        ids: list[int] = []
        for row in tracks.tolist():
            own = [track for track in row if track != UNTRACKED]
            # Two people may have been joined as one before: only one of them keeps the id.
            known = {self._known[track] for track in own if track in self._known} - set(ids)
            if not own:
                ids.append(UNTRACKED)
                continue
            ids.append(min(known) if known else next(self._new))
            for track in own:
                self._known.pop(track, None)  # moves it to the end
                self._known[track] = ids[-1]
        for track in list(self._known)[:-_KEPT]:
            del self._known[track]
        return np.array(ids, np.int32)


def _concatenated(views: list[Poses]) -> Poses:
    """Return the poses of all views, one after the other, and a placeholder at the end."""
    k = views[0].keypoints.shape[1]
    nobody = Poses(
        np.zeros((1, 4), np.float32), np.zeros(1, np.float32), np.zeros((1, k, 3), np.float32)
    )
    return reduce(Poses.joined, (*views, nobody))
