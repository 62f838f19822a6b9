# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The poses of a rig's cameras, from people whom they see at the same times.

First pairwise, from essential matrices, chained by the sizes of the people; then all together by
bundle adjustment.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import ABSENT, Array, Poses
from kp_pose_ros.space.bones import Bones
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.adjustment import (
    LEAST_IMAGES,
    Moment,
    Refined,
    Viewpoints,
    observe,
    points_of,
    refine,
    scaled,
    without_outliers,
)
from kp_pose_ros.space.multi_camera.rig import Viewpoint
from kp_pose_ros.space.multi_camera.triangulation import Triangulator
from kp_pose_ros.space.multi_camera.two_views import View, find_relative_pose, spread

Heights = dict[tuple[str, int], float]  # of people, by camera and track

_MOST_MOMENTS = 60  # used per camera in the refinement, spread over the recording
_ROUNDS = 2  # of joining people by the poses found so far, then refining these poses
_LEAST_WALK = 0.3  # body heights, standard deviation of people's positions
# Standard deviations of a camera's pose above which the result is refused.
_UNSURE_ANGLE = np.radians(1)
_UNSURE_PLACE = 0.05  # of the distance between the first two cameras
_HEIGHTS = (0.6, 2.5)  # metres; average heights of people outside show a scale that is wrong


@dataclass(frozen=True, slots=True, eq=False)
class Extrinsics:
    """The poses of cameras. The common frame is the first one's optical frame.

    Attributes:
        viewpoints: the cameras, by name.
        angles: (cameras,), standard deviation of each one's rotation, radians.
        distances: (cameras,), standard deviation of each one's position, metres.
        height: average height of the people, metres: about 5 % uncertain.
        errors: (n,) reprojection errors of the keypoints used, pixels.
        left_out: share of the keypoints that were left out, because they contradict the others.
        moments: number of points in time at which the keypoints were seen.
    """

    viewpoints: dict[str, Viewpoint]
    angles: Array
    distances: Array
    height: float
    errors: Array
    left_out: float
    moments: int


def find_extrinsics(
    cameras: Mapping[str, CameraModel],
    recording: Sequence[Moment],
    keypoint_names: Sequence[str],
    *,
    height: float | None = None,
    baseline: float | None = None,
) -> Extrinsics:
    """Return the poses of cameras that do not move.

    Args:
        cameras: by name, two or more.
        recording: what they saw, in order of time; within a camera, an id means the same track
            throughout.
        keypoint_names: the skeleton's.
        height: average height of the people, metres; either this or `baseline`.
        baseline: the distance between the first two cameras, metres.

    Raises:
        CalibrationError: the recording does not determine the poses.
    """
    if len(cameras) < 2:
        raise CalibrationError(
            f"{len(cameras)} camera is given: expected two or more that see the same people"
        )
    if height is not None:
        _check_height(height, "height")
    bones = Bones(keypoint_names)
    if not bones.tell_heights:
        raise CalibrationError(
            "the skeleton has no bones of a body: expected keypoints with the names of "
            "config/skeletons/coco17.yaml"
        )
    moments = _moments(cameras, recording)
    viewpoints = _chain(cameras, recording, bones)
    for _ in range(_ROUNDS):
        seen = observe(viewpoints, moments)
        viewpoints = refine(viewpoints, seen, "soft_l1").viewpoints
        kept = without_outliers(viewpoints, seen)
        refined = refine(viewpoints, kept, "linear")
        viewpoints = refined.viewpoints
    points = points_of(viewpoints, kept)
    heights = bones.heights(points)
    _check_walk(points, heights)
    apart = float(np.linalg.norm(viewpoints[list(cameras)[1]].pose[:3, 3]))
    _check_certainty(refined, apart)
    tall = float(np.nanmedian(heights))
    scale = baseline / apart if baseline else (height or 1.0) / tall
    _check_height(scale * tall, "baseline")
    return Extrinsics(
        scaled(viewpoints, scale),
        refined.angles,
        refined.distances * scale,
        tall * scale,
        np.linalg.norm(refined.errors, axis=-1),
        1 - float(kept.trust.sum() / seen.trust.sum()),
        len(moments),
    )


def _moments(cameras: Collection[str], recording: Sequence[Moment]) -> list[Moment]:
    """Return moments at which two or more cameras show people, about as many for each camera."""
    of_cameras = defaultdict(list)
    for index, moment in enumerate(recording):
        with_people = [name for name in cameras if len(moment.get(name, ()))]
        for name in with_people if len(with_people) > 1 else ():
            of_cameras[name].append(index)
    chosen = {i for each in of_cameras.values() for i in spread(each, _MOST_MOMENTS)}
    return [recording[i] for i in sorted(chosen)]


class _Edge(NamedTuple):
    """Two cameras that see the same people.

    Attributes:
        images: number of pairs of images that show them.
        names: the cameras' names.
        pose: (4, 4), of the second in the first's frame; the distance between them is 1.
        heights: the people's heights, in that unit.
    """

    images: int
    names: tuple[str, str]
    pose: Array
    heights: Heights


def _chain(
    cameras: Mapping[str, CameraModel], recording: Sequence[Moment], bones: Bones
) -> dict[str, Viewpoint]:
    """Return rough poses: each relative to the camera with which it shares the most images.

    The unit of length is the distance between the first two cameras that are placed.
    """
    edges = [
        edge
        for names in itertools.combinations(cameras, 2)
        if (edge := _edge(names, cameras, recording, bones)) is not None
    ]
    first = next(iter(cameras))
    placed = {first: np.eye(4)}
    known: Heights = {}
    while len(placed) < len(cameras):
        reachable = [each for each in edges if len(placed.keys() & set(each.names)) == 1]
        if not reachable:
            raise _unplaced(cameras.keys() - placed.keys(), recording)
        edge = max(reachable, key=lambda each: each.images)
        scale = _scale(edge.heights, known)
        known = {name: height * scale for name, height in edge.heights.items()} | known
        near, far = edge.names
        pose = edge.pose.copy()
        if far in placed:
            near, far = far, near
            pose = np.linalg.inv(pose)
        pose[:3, 3] *= scale
        placed[far] = placed[near] @ pose
    return {name: Viewpoint(camera, placed[name]) for name, camera in cameras.items()}


def _scale(heights: Heights, known: Heights) -> float:
    """Return the factor that turns heights into the known heights of the same people."""
    if not known:
        return 1.0
    same = [known[each] / height for each, height in heights.items() if each in known]
    # Nobody in common: use the average heights.
    return float(np.median(same or np.median([*known.values()]) / [*heights.values()]))


def _unplaced(names: set[str], recording: Sequence[Moment]) -> CalibrationError:
    name = min(names)
    with_people = [{each for each, poses in moment.items() if len(poses)} for moment in recording]
    times = [cameras for cameras in with_people if name in cameras]
    return CalibrationError(
        f"camera '{name}' cannot be placed: it shows people at {len(times)} times, at "
        f"{sum(len(cameras) > 1 for cameras in times)} of them another camera shows people, too, "
        f"and they agree on a person in fewer than {LEAST_IMAGES} pairs of images; have people "
        "walk around for a minute where the views overlap, and check the calibrations and the "
        "clocks of the cameras"
    )


def _edge(
    names: tuple[str, str],
    cameras: Mapping[str, CameraModel],
    recording: Sequence[Moment],
    bones: Bones,
) -> _Edge | None:
    """Return the relative pose of two cameras; None if the recording does not determine it."""
    common = [moment for moment in recording if set(names) <= moment.keys()]
    found = find_relative_pose(
        [tuple(_view(cameras[name], moment[name]) for name in names) for moment in common]  # type: ignore[misc]
    )
    if found is None or found.images < LEAST_IMAGES:
        return None
    poses = (np.eye(4), found.pose)
    pair = {name: Viewpoint(cameras[name], pose) for name, pose in zip(names, poses, strict=True)}
    heights = _heights_of_tracks(pair, spread(common, _MOST_MOMENTS), bones)
    return _Edge(found.images, names, found.pose, heights) if heights else None


def _view(camera: CameraModel, poses: Poses) -> View:
    plane = camera.at_depth_one(poses.keypoints[..., :2])
    plane[poses.states == ABSENT] = np.nan
    return View(plane, poses.track_ids)


def _heights_of_tracks(viewpoints: Viewpoints, moments: Sequence[Moment], bones: Bones) -> Heights:
    """Return the heights of people whom two cameras see, in the unit of the viewpoints."""
    triangulator = Triangulator(list(viewpoints.values()))
    measured: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for moment in moments:
        views = [moment[name] for name in viewpoints]
        joined = triangulator.join(views)
        heights = bones.heights(joined.points).tolist()
        for members, height in zip(joined.members.tolist(), heights, strict=True):
            for name, poses, index in zip(viewpoints, views, members, strict=True):
                measured[name, int(poses.track_ids[index])].append(height)
    medians = {track: float(np.median(heights)) for track, heights in measured.items()}
    return {track: height for track, height in medians.items() if np.isfinite(height)}


def _check_height(height: float, source: str) -> None:
    if not _HEIGHTS[0] <= height <= _HEIGHTS[1]:
        raise CalibrationError(
            f"the people would be {height:.3g} m tall on average: expected {_HEIGHTS[0]} to "
            f"{_HEIGHTS[1]} m; check the {source}, which has to be in metres"
        )


def _check_certainty(refined: Refined, apart: float) -> None:
    rows = zip(refined.viewpoints, refined.angles, refined.distances / apart, strict=True)
    for name, angle, share in rows:
        if angle > _UNSURE_ANGLE or share > _UNSURE_PLACE:
            raise CalibrationError(
                f"the pose of camera '{name}' is uncertain by {np.degrees(angle):.1f} degrees and "
                f"{min(share, 1):.0%} of the distance between the first two: expected at most 1 "
                f"degree and {_UNSURE_PLACE:.0%}; record people who walk for longer, near and far, "
                "also where three cameras see them, if there are three"
            )


def _check_walk(points: Array, heights: Array) -> None:
    middles = np.nanmedian(points[np.isfinite(heights)], axis=1)
    walked = float(np.linalg.norm(middles.std(axis=0)) / np.nanmedian(heights))
    if not walked >= _LEAST_WALK:
        raise CalibrationError(
            f"the people of the recording hardly move: by {walked:.2f} of their height (standard "
            f"deviation), expected {_LEAST_WALK} or more; record people who walk, near and far"
        )
