# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints in space from several calibrated cameras that see the same people.

People are matched across views by epipolar distance (Hartley and Zisserman: Multiple View Geometry
in Computer Vision, 2nd edition, chapters 9 and 12), then each keypoint is triangulated.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kp_pose_ros.poses import ABSENT, Array, Indices, Poses
from kp_pose_ros.space.multi_camera.rig import Rig, Viewpoint
from kp_pose_ros.tracking.association import assign

Person = tuple[int, int]  # view, index in its poses
Group = dict[int, int]  # the same person in several views: view -> index
Views = tuple[int, int]

MISSING = -1
_MIN_COMMON = 4  # keypoints that two views must share to be matched as one person
# Radians by which two views of the same keypoint may contradict each other: 12 pixels of a camera
# with a focal length of 600.
_TOLERANCE = 0.02
_FAR_OFF = 3.0  # tolerances; the most that one keypoint counts against a match


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The m people whom at least two views show."""

    points: Array  # (m, k, 3), metres, in the common frame; NaN where fewer than two views agree
    members: Indices  # (m, views), the person's index in the poses of each view, or MISSING


class Triangulator:
    """Joins the poses of cameras that do not move relative to each other."""

    def __init__(self, viewpoints: Sequence[Viewpoint]) -> None:
        """Prepare to join the poses of some cameras.

        Args:
            viewpoints: two or more, in the order in which `join` gets their poses.

        Raises:
            CalibrationError: fewer than two cameras, or two at the same place.
        """
        self._rig = Rig(viewpoints)

    def join(self, views: Sequence[Poses]) -> Joined:
        """Return the people whom several views show, and their keypoints in the common frame.

        Args:
            views: each camera's poses at the same time, all of one skeleton.
        """
        planes = [
            view.camera.at_depth_one(poses.keypoints[..., :2])
            for view, poses in zip(self._rig.viewpoints, views, strict=True)
        ]
        known = [np.isfinite(plane[..., 0]) for plane in planes]
        planes = [np.where(k[..., None], plane, 0) for k, plane in zip(known, planes, strict=True)]
        weights = [
            np.where((poses.states != ABSENT) & k, poses.keypoints[..., 2], 0)
            for k, poses in zip(known, views, strict=True)
        ]
        members = self._match(planes, weights)
        seen = np.stack([_rows(plane, members[:, v]) for v, plane in enumerate(planes)], axis=-2)
        trust = np.stack(
            [_rows(weight, members[:, v]) for v, weight in enumerate(weights)], axis=-1
        )
        return Joined(self._rig.triangulate(seen, trust, _TOLERANCE), members)

    def _match(self, planes: list[Array], weights: list[Array]) -> Indices:
        """Return the matched people, (m, views), as in `Joined.members`."""
        pairs = list(itertools.combinations(range(len(planes)), 2))
        gaps = {}
        for a, b in pairs:
            gaps[a, b] = self._gaps(a, b, planes, weights)
            gaps[b, a] = gaps[a, b].T
        links = [link for a, b in pairs for link in self._links(a, b, gaps, len(planes))]
        groups: dict[Person, Group] = {}
        for _, first, second in sorted(links):
            self._merge(groups, first, second, gaps)
        different = {tuple(group.items()): group for group in groups.values()}
        members = [[g.get(v, MISSING) for v in range(len(planes))] for g in different.values()]
        return np.array(members, np.intp).reshape(-1, len(planes))

    def _links(
        self, a: int, b: int, gaps: dict[Views, Array], views: int
    ) -> list[tuple[float, Person, Person]]:
        """Return likely matches between two views, with their gaps; a person is in one at most."""
        gap = gaps[a, b].copy()
        # Where two views cannot tell people apart, a third can: a person in it must fit both.
        for other in set(range(views)) - {a, b}:
            both = gaps[a, other][:, None] + gaps[other, b].T[None]
            gap += np.minimum(both.min(axis=2, initial=np.inf), 2 * _TOLERANCE)
        worst = _TOLERANCE * (2 * views - 3)  # largest sum for two that fit
        similarity = np.where(gaps[a, b] <= _TOLERANCE, 1 - gap / (worst + 1e-9), 0)
        rows, columns = assign(similarity.clip(0), 1e-6)
        return [
            (float(gap[i, j]), (a, i), (b, j))
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        ]

    def _merge(
        self, groups: dict[Person, Group], first: Person, second: Person, gaps: dict[Views, Array]
    ) -> None:
        """Merge the groups of two people, unless members of the groups contradict each other."""
        group, other = (groups.get(person, dict([person])) for person in (first, second))
        for (a, i), (b, j) in itertools.product(group.items(), other.items()):
            if a == b or _TOLERANCE < gaps[a, b][i, j] < np.inf:
                return
        merged = group | other
        groups.update(dict.fromkeys(merged.items(), merged))

    def _gaps(self, a: int, b: int, planes: list[Array], weights: list[Array]) -> Array:
        """Return how far people of two views are from each other's epipolar planes, (n_a, n_b).

        It is the mean angle over their keypoints' rays; infinite where too few are in common.
        """
        first = self._rig.directions(a, planes[a])[:, None]
        second = self._rig.directions(b, planes[b])[None]
        way = self._rig.centers[b] - self._rig.centers[a]
        way = way / np.linalg.norm(way)
        volume = np.abs(np.cross(first, second) @ way)
        across = [np.linalg.norm(np.cross(way, rays), axis=-1) for rays in (first, second)]
        angle = volume / np.maximum(np.minimum(*across), 1e-9)

        along, also_along = first @ way, second @ way
        cosine = (first * second).sum(axis=-1)
        meet_in_front = (along - cosine * also_along > 0) & (cosine * along - also_along > 0)
        limit = _FAR_OFF * _TOLERANCE
        angle = np.where(meet_in_front, np.minimum(angle, limit), limit)
        common = (weights[a][:, None] > 0) & (weights[b][None] > 0)
        counts = common.sum(axis=-1)
        mean = (angle * common).sum(axis=-1) / np.maximum(counts, 1)
        gaps: Array = np.where(counts >= _MIN_COMMON, mean, np.inf)
        return gaps


def _rows(table: Array, index: Indices) -> Array:
    """Return rows of a table, zeros where the index is MISSING."""
    found = index != MISSING
    result = np.zeros((len(index), *table.shape[1:]))
    result[found] = table[index[found]]
    return result
