#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures tracking on a real video: the model's noise, and how long people keep their ids.

    tools/in_ros_env tools/measure_tracking.py vtest.avi --model yolo11n-pose.pt --imgsz 1152 1536

vtest.avi is in Debian's opencv-doc. Where supervision 0.26 is installed, its ByteTrack gets the
same detections.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from kp_pose_ros.errors import FrameError, KpPoseError
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.decode import DecodeSettings
from kp_pose_ros.inference.factory import EstimatorSettings, make_estimator
from kp_pose_ros.poses import OBSERVED, UNTRACKED, Poses
from kp_pose_ros.tracking.association import sigmas_of
from kp_pose_ros.tracking.tracker import Tracker, TrackingSettings

Update = Callable[[Poses, int], npt.NDArray[np.int32]]  # poses, stamp -> track ids
Sighting = tuple[int, Poses, int]  # image, poses, index of the person
Array = npt.NDArray[np.float64]

# Over four images it cancels motion up to a parabola; noise keeps its standard deviation.
_NOISE_ONLY = np.array((1, -3, 3, -1)) / np.sqrt(20)
_LONG = 20  # images; shorter tracks are not used for the noise


def main() -> None:
    """Find the poses once, then compare the trackers on them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--imgsz", type=int, nargs=2, metavar=("H", "W"))
    parser.add_argument("--lost", type=float, nargs="+", default=[0.0, 0.3, 0.6])
    args = parser.parse_args()
    try:
        _measure(args)
    except KpPoseError as error:
        sys.exit(f"measure_tracking: {error}")


def _measure(args: argparse.Namespace) -> None:
    video, *others = find_sources([args.video])
    if others or not video.is_video:
        raise FrameError(f"{args.video} is not a video: expected one of people")
    imgsz = tuple(args.imgsz) if args.imgsz else None
    model, estimator = make_estimator(
        EstimatorSettings(args.model, imgsz=imgsz, engine="onnx", decode=DecodeSettings())
    )
    poses = [
        estimator.estimate([Frame(picture)])[0] for picture in tqdm(video, total=video.frame_count)
    ]
    if not any(map(len, poses)):
        raise FrameError(f"{video.path} shows nobody: expected a video of people")
    sigmas = sigmas_of(model.skeleton.name, len(model.skeleton))
    print_noise(poses, video.frame_rate, sigmas)
    for lost in args.lost:
        arrived = np.random.default_rng(0).random(len(poses)) >= lost
        print(f"{lost:.0%} of the images lost")
        print_tracks("  ours", _ours(sigmas), poses, arrived, video.frame_rate)
        if find_spec("supervision"):
            peer = _peer(video.frame_rate)
            print_tracks("  supervision's ByteTrack", peer, poses, arrived, video.frame_rate)


def _ours(sigmas: Array) -> Update:
    tracker = Tracker(TrackingSettings(smoothing=1.0, predict_ms=200.0), sigmas)
    return lambda poses, stamp: tracker.update(poses, stamp).track_ids


def _peer(hz: float) -> Update:
    import supervision  # type: ignore[import-not-found]

    tracker = supervision.ByteTrack(frame_rate=round(hz))

    def update(poses: Poses, _stamp: int) -> npt.NDArray[np.int32]:
        found = tracker.update_with_detections(
            supervision.Detections(
                xyxy=poses.boxes, confidence=poses.scores, class_id=np.arange(len(poses))
            )
        )
        ids = np.full(len(poses), UNTRACKED, np.int32)
        ids[found.class_id] = found.tracker_id
        return ids

    return update


def print_tracks(
    name: str, update: Update, poses: list[Poses], arrived: npt.NDArray[np.bool_], hz: float
) -> None:
    """Print how many ids a tracker gives, for how long, and how often they are switched.

    A switch is a change of id between two images in a row of a person whose boxes overlap by more
    than 0.6, with nobody else near: that needs no ground truth and no tracker.
    """
    lengths: dict[int, int] = {}
    links = switches = tracked = 0
    before = Poses.empty(0)
    ids_before: npt.NDArray[np.int32] = np.zeros(0, np.int32)
    for index in np.flatnonzero(arrived).tolist():
        now = poses[index]
        ids = update(now, round(index / hz * 1e9))
        for track_id in ids[ids != UNTRACKED].tolist():
            lengths[track_id] = lengths.get(track_id, 0) + 1
        a, b = _same_people(before.boxes, now.boxes)
        both = (ids_before[a] != UNTRACKED) & (ids[b] != UNTRACKED)
        links += int(both.sum())
        switches += int((ids_before[a] != ids[b])[both].sum())
        tracked += int((ids != UNTRACKED).sum())
        before, ids_before = now, ids
    total = sum(len(poses[i]) for i in np.flatnonzero(arrived))
    seconds = np.median([*lengths.values()] or [0]) / hz / max(arrived.mean(), 1e-9)
    print(
        f"{name}: {tracked / max(total, 1):.1%} of {total} poses tracked, {len(lengths)} ids, half "
        f"of them for at least {seconds:.1f} s, {switches} switches in {links} steps"
    )


def _same_people(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pairs of boxes of two images that can only be one person each."""
    low = np.maximum(first[:, None, :2], second[:, :2])
    overlap = (np.minimum(first[:, None, 2:], second[:, 2:]) - low).clip(0).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (first, second)]
    iou = overlap / (areas[0][:, None] + areas[1] - overlap)
    others = iou.sum(axis=0) + iou.sum(axis=1, keepdims=True) - 2 * iou
    a, b = np.nonzero((iou > 0.6) & (others < 0.3))
    return a, b


def print_noise(poses: list[Poses], hz: float, sigmas: Array) -> None:
    """Print the standard deviations of the boxes and keypoints of people in long tracks."""
    tracks: dict[int, list[Sighting]] = {}
    update = _ours(sigmas)
    for index, found in enumerate(poses):
        for place, track_id in enumerate(update(found, round(index / hz * 1e9)).tolist()):
            tracks.setdefault(track_id, []).append((index, found, place))
    tracks.pop(UNTRACKED, None)
    boxes, keypoints = [], []
    for sightings in (t for t in tracks.values() if len(t) >= _LONG):
        for four in zip(*(sightings[i:] for i in range(4)), strict=False):
            if four[3][0] - four[0][0] == 3:
                box, points = _noise_of(four)
                boxes.append(box)
                keypoints.append(points)
    if not boxes:
        print(f"noise: unknown, since nobody is tracked through {_LONG} images")
        return
    print("box sides, in box heights:", _deviation(np.array(boxes)))
    print("keypoints, in square roots of the box area:", _deviation(np.array(keypoints)))


def _noise_of(four: tuple[Sighting, ...]) -> tuple[Array, Array]:
    boxes = np.array([poses.boxes[place] for _, poses, place in four], np.float64)
    points = np.array([poses.keypoints[place, :, :2] for _, poses, place in four], np.float64)
    seen = np.all([poses.states[place] == OBSERVED for _, poses, place in four], axis=0)
    width, height = boxes[0, 2:] - boxes[0, :2]
    noise = np.tensordot(_NOISE_ONLY, points, 1) / np.sqrt(width * height)
    return (_NOISE_ONLY @ boxes / height)[:, None], np.where(seen[:, None], noise, np.nan)


def _deviation(noise: Array) -> list[float]:
    """Return the (m,) standard deviations of (n, m, axes), by medians because of outliers."""
    deviations: list[float] = (1.4826 * np.nanmedian(np.abs(noise), axis=(0, 2))).round(4).tolist()
    return deviations


if __name__ == "__main__":
    main()
