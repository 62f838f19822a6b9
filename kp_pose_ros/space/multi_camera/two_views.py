# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The relative pose of two cameras, up to scale, from people whom both see.

It is not known which tracks of the two cameras show the same person. So each pair of tracks that
overlap in time is a hypothesis: it yields an essential matrix (Nister: An Efficient Solution to the
Five-Point Relative Pose Problem, PAMI 2004, as implemented by OpenCV), and the one on which most
pairs of tracks agree wins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from kp_pose_ros.poses import UNTRACKED, Array, Ints

Item = TypeVar("Item")

_WITHIN = 0.005  # at depth 1: 4 pixels of a camera with a focal length of 800
_AGREE = 0.5  # least share of keypoints within that, for two tracks to be one person's
_LEAST_IMAGES = 10  # that two tracks must have in common
_MOST_IMAGES = 120  # used of two tracks, spread over their time
_HYPOTHESES = 8  # pairs of tracks: those with the most images in common
_CONFIDENCE = 0.999  # of RANSAC
_FARTHEST = 1e4  # baselines; OpenCV's default, 50, excludes everybody whom a stereo camera sees
_ROUNDS = 3  # of selecting the tracks that agree and estimating again


class View(NamedTuple):
    """The n tracked people whom one camera sees at one time."""

    plane: Array  # (n, k, 2), their keypoints at depth 1; NaN where unknown
    track_ids: Ints  # (n,), all different, UNTRACKED where there is no track


class RelativePose(NamedTuple):
    """The pose of a second camera in the frame of a first one."""

    # (4, 4), from the second's optical frame to the first's; the translation has length 1
    pose: Array
    images: int  # how many pairs of images show a person on whom both cameras agree


def find_relative_pose(views: Sequence[tuple[View, View]]) -> RelativePose | None:
    """Return the pose of the second camera; None if the views do not determine it.

    Args:
        views: what the two saw at the same times; a track id means the same track in all of them.
    """
    matches, alone = _matches(views)
    hypotheses = sorted(matches, key=len, reverse=True)[:_HYPOTHESES]
    poses = [_estimate(each) for each in (*hypotheses, *alone)]
    best = max(
        (pose for pose in poses if pose is not None),
        key=lambda pose: sum(_agreeing(pose, each) for each in matches),
        default=None,
    )
    images = 0
    for _ in range(_ROUNDS):
        if best is None:
            return None
        agreed = [each for each in matches if _agreeing(best, each)]
        images = sum(len(each) for each in agreed)
        best = _estimate(np.concatenate(agreed)) if agreed else None
    return None if best is None else RelativePose(best, images)


def _matches(views: Sequence[tuple[View, View]]) -> tuple[list[Array], list[Array]]:
    """Return the matches of pairs of tracks, and those of people who are alone in both pictures.

    Each is (images, k, 4): x y of a keypoint in the first camera, and x y in the second. A person
    who is alone counts as the same one throughout, however often the track was lost.
    """
    tracks: defaultdict[tuple[int, int], list[Array]] = defaultdict(list)
    alone = []
    for first, second in views:
        for i, a in enumerate(first.track_ids.tolist()):
            for j, b in enumerate(second.track_ids.tolist()):
                match = np.concatenate((first.plane[i], second.plane[j]), axis=1)
                if UNTRACKED not in (a, b):
                    tracks[a, b].append(match)
                if len(first.plane) == len(second.plane) == 1:
                    alone.append(match)
    of_tracks, of_those_alone = (
        [np.stack(spread(each, _MOST_IMAGES)) for each in matches if len(each) >= _LEAST_IMAGES]
        for matches in (tracks.values(), [alone])
    )
    return of_tracks, of_those_alone


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` of the items, spread evenly over them."""
    indices = np.linspace(0, len(items) - 1, min(len(items), most)).astype(int)
    return [items[index] for index in indices]


def _known(matches: Array) -> Array:
    """Return the (n, 4) keypoints that both cameras see."""
    points: Array = matches.reshape(-1, 4)
    return points[np.isfinite(points).all(axis=1)]


def _estimate(matches: Array) -> Array | None:
    """Return the (4, 4) pose of the second camera on which most keypoints agree."""
    first, second = np.ascontiguousarray(np.split(_known(matches), 2, axis=1))
    if len(first) < _LEAST_IMAGES:
        return None
    essential, inliers = cv2.findEssentialMat(
        first, second, np.eye(3), cv2.RANSAC, _CONFIDENCE, _WITHIN
    )
    if essential is None or essential.shape != (3, 3):
        return None
    _, turn, way, *_ = cv2.recoverPose(essential, first, second, np.eye(3), _FARTHEST, mask=inliers)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3:] = turn.T, -turn.T @ way
    return pose


def _agreeing(pose: Array, matches: Array) -> int:
    """Return how many keypoints of two tracks agree with a pose; 0 if not one person's tracks.

    By the Sampson distance (Hartley and Zisserman, 2nd edition, equation 11.9).
    """
    first, second = (_homogeneous(each) for each in np.split(_known(matches), 2, axis=1))
    turn, way = pose[:3, :3].T, -pose[:3, :3].T @ pose[:3, 3]
    essential = np.cross(way, np.eye(3)).T @ turn
    lines, others = first @ essential.T, second @ essential
    slopes = np.square(lines[:, :2]).sum(axis=1) + np.square(others[:, :2]).sum(axis=1)
    errors = np.square((second * lines).sum(axis=1)) / np.maximum(slopes, 1e-12)
    count = int((errors < _WITHIN**2).sum())
    return count if count >= _AGREE * max(len(errors), _LEAST_IMAGES) else 0


def _homogeneous(points: Array) -> Array:
    return np.column_stack((points, np.ones(len(points))))
