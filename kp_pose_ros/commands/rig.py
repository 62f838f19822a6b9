# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`kp_pose rig`: estimates the poses of cameras from a recording of people walking."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from kp_pose_ros.commands.activities import parse_record, read_lines
from kp_pose_ros.commands.estimator_arguments import (
    add_estimator_arguments,
    check_new_file,
    estimator_settings,
    number,
)
from kp_pose_ros.commands.source_poses import find_poses
from kp_pose_ros.errors import SettingsError, brief, show
from kp_pose_ros.image.files import find_sources
from kp_pose_ros.inference.factory import make_estimator
from kp_pose_ros.poses import UNTRACKED, Poses
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.multi_camera.extrinsics import Extrinsics, find_extrinsics
from kp_pose_ros.space.multi_camera.rig_file import read_calibration, write_rig
from kp_pose_ros.space.multi_camera.synchronizer import Synchronizer


def add_parser(subparsers: Any) -> None:
    """Add `kp_pose rig`."""
    parser = subparsers.add_parser(
        "rig",
        help="estimate the poses of several cameras from a recording of people walking",
        description="Estimates the poses of cameras with overlapping views from a recording of "
        "people walking, and writes the file for the parameter rig.file. The common frame is that "
        "of the first camera.",
    )
    parser.add_argument(
        "calibrations",
        nargs="+",
        type=Path,
        metavar="CALIBRATION",
        help="a camera's calibration, written by camera_calibration and named after the camera: "
        "front.yaml applies to the records of `front` and of topics such as /front/image_raw",
    )
    recording = parser.add_mutually_exclusive_group(required=True)
    recording.add_argument(
        "--records",
        nargs="+",
        type=Path,
        metavar="RECORDS",
        help="records written by `kp_pose bag --records` or event_feed",
    )
    recording.add_argument(
        "--videos",
        nargs="+",
        type=Path,
        metavar="VIDEO",
        help="one video per camera, in the order of the calibrations",
    )
    parser.add_argument(
        "--delays",
        nargs="+",
        type=number(float, 0, 86400),
        metavar="SECONDS",
        help="with --videos: by how much each video began after the earliest one; default: all "
        "began together",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RIG", help="file to write"
    )
    scale = parser.add_mutually_exclusive_group(required=True)
    scale.add_argument(
        "--height",
        type=number(float, 0.1, 10),
        metavar="METRES",
        help="average height of the people, without shoes",
    )
    scale.add_argument(
        "--baseline",
        type=number(float, 0.001, 1000),
        metavar="METRES",
        help="distance between the lenses of the first two cameras; more accurate than --height",
    )
    parser.add_argument(
        "--slop",
        type=number(float, 0, 1),
        default=0.02,
        metavar="SECONDS",
        help="largest difference between the stamps of simultaneous images; default: 0.02",
    )
    add_estimator_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the rig and print how well the cameras agree."""
    if args.delays and not args.videos:
        raise SettingsError("--delays is given without --videos: expected both or neither")
    check_new_file(args.output)
    calibrations = {path.stem: path for path in args.calibrations}
    if len(calibrations) < max(len(args.calibrations), 2):
        names = ", ".join(path.stem for path in args.calibrations)
        raise SettingsError(
            f"the calibrations are of {names}: expected two or more files, named after the cameras"
        )
    recording = _Recording({name: read_calibration(path) for name, path in calibrations.items()})
    for place, record in _from_videos(args) if args.videos else _from_records(args.records):
        recording.add(place, record)
    found = find_extrinsics(
        recording.cameras,
        recording.moments(round(args.slop * 1e9)),
        recording.keypoint_names,
        height=args.height,
        baseline=args.baseline,
    )
    poses = {name: view.pose for name, view in found.viewpoints.items()}
    frame_id = recording.frame_ids[next(iter(poses))]
    write_rig(args.output, frame_id, poses, calibrations)
    _print(found, frame_id, args.output)
    return 0


def _from_records(paths: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each record in files, and where it stands."""
    for place, line in read_lines(paths):
        try:
            yield place, parse_record(line)
        except SettingsError as error:
            raise SettingsError(f"{place}: {error}") from error


def _from_videos(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the record of each frame of the videos, and where it stands."""
    cameras = [path.stem for path in args.calibrations]
    delays = args.delays or [0.0] * len(cameras)
    for option, given in (("videos", args.videos), ("delays", delays)):
        if len(given) != len(cameras):
            raise SettingsError(
                f"--{option} has {len(given)} values: expected {len(cameras)}, one for each camera"
            )
    sources = [find_sources([path])[0] for path in args.videos]
    if pictures := [source.path for source in sources if not source.is_video]:
        raise SettingsError(f"{pictures[0]} is a picture: expected a video")
    model, estimator = make_estimator(estimator_settings(args))
    total = sum(source.frame_count for source in sources)
    with closing(estimator.engine), tqdm(total=total, unit="frame") as progress:
        for camera, source, delay in zip(cameras, sources, delays, strict=True):
            found = find_poses(source, model, estimator, camera, began=round(delay * 1e9))
            for number, (_, _, record) in enumerate(found, 1):
                progress.update()
                yield f"frame {number} of {source.path}", record | {"frame_id": camera}


def _print(found: Extrinsics, frame_id: str, output: Path) -> None:
    first, *others = found.viewpoints
    show(f"{first}: the common frame is its frame {frame_id}")
    for index, name in enumerate(others, 1):
        show(
            f"{name}: {np.linalg.norm(found.viewpoints[name].pose[:3, 3]):.3f} m from {first}, "
            f"uncertain by {100 * found.distances[index]:.1f} cm and "
            f"{np.degrees(found.angles[index]):.2f} degrees"
        )
    show(f"people: {found.height:.2f} m tall on average, by the distances between their keypoints")
    median, most = np.percentile(found.errors, (50, 95))
    show(
        f"reprojection error: {median:.2f} pixels (median), {most:.2f} (95 %) of "
        f"{len(found.errors)} keypoints at {found.moments} times; {found.left_out:.1%} were left "
        f"out; wrote {output}"
    )


class _Image(NamedTuple):
    """What a camera saw, and when: nanoseconds."""

    stamp: int
    camera: str
    poses: Poses


class _Recording:
    """The records of some cameras.

    Attributes:
        cameras: by name.
        frame_ids: by name, of those that have records.
        keypoint_names: the skeleton's; empty before the first person.
    """

    def __init__(self, cameras: dict[str, CameraModel]) -> None:
        self.cameras = cameras
        self.frame_ids: dict[str, str] = {}
        self.keypoint_names: tuple[str, ...] = ()
        self._sources: dict[str, str] = {}  # the camera's name in the records, by ours
        self._others: set[str] = set()  # cameras of the records without a calibration
        self._images: list[_Image] = []
        # Ids start over with each session; these numbers do not.
        self._tracks: dict[tuple[str, str, int], int] = {}

    def add(self, place: str, record: dict[str, Any]) -> None:
        """Add a record; `place` says where it comes from.

        Raises:
            SettingsError: it is not a record, or contradicts a calibration.
        """
        try:
            source, stamp = str(record["camera"]), record["stamp_ms"]
            name = self._name(source)
            if name is None:
                return
            self._check_size(name, (record["height"], record["width"]))
            if stamp is None:
                raise SettingsError("its image has no stamp: expected videos or a bag")
            poses = self._poses(name, str(record["session"]), record["poses"])
            self._images.append(_Image(int(stamp) * 10**6, name, poses))
            self.frame_ids.setdefault(name, str(record["frame_id"]) or name)
        except SettingsError as error:
            raise SettingsError(f"{place}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SettingsError(
                f"{place} is not a record of poses ({error!r}): expected what kp_pose_ros/output/"
                "record.schema.json describes"
            ) from error

    def moments(self, slop: int) -> list[dict[str, Poses]]:
        """Return what cameras saw at the same times, within `slop` nanoseconds.

        Raises:
            SettingsError: a camera has no records, or nobody is seen.
        """
        if missing := [name for name in self.cameras if name not in self.frame_ids]:
            found = ", ".join(sorted({*self._sources.values(), *self._others})) or "none"
            raise SettingsError(
                f"camera '{missing[0]}' has no records: found those of {found}; name the "
                "calibration after the camera, or after a part of its topic"
            )
        if not self.keypoint_names:
            raise SettingsError("the records show nobody: record people who walk around")
        synchronizer: Synchronizer[Poses] = Synchronizer(self.cameras, slop)
        empty = Poses.empty(len(self.keypoint_names))
        return [
            {camera: seen.item if len(seen.item) else empty for camera, seen in moment.items()}
            for image in sorted(self._images, key=lambda image: image.stamp)
            for moment in synchronizer.put(image.camera, image.stamp, image.poses)
        ]

    def _name(self, source: str) -> str | None:
        """Return our name of a camera of the records; None if it has no calibration."""
        names = [each for each in self.cameras if each in (source, *source.split("/"))]
        if not names:
            self._others.add(source)
            return None
        name = names[0]
        if self._sources.setdefault(name, source) != source:
            raise SettingsError(
                f"there are records of {source} and of {self._sources[name]}: expected one of them "
                f"for '{name}'; name the calibrations so that each fits one camera only"
            )
        return name

    def _check_size(self, name: str, size: tuple[Any, Any]) -> None:
        if size != self.cameras[name].size:
            found, expected = (f"{w} x {h}" for h, w in (size, self.cameras[name].size))
            raise SettingsError(
                f"the images of '{name}' have {found} pixels, and its calibration is for "
                f"{expected}: expected the same; calibrate the camera at this size"
            )

    def _poses(self, camera: str, session: str, people: Sequence[Any]) -> Poses:
        if not people:
            return Poses.empty(len(self.keypoint_names))
        names = self.keypoint_names = self.keypoint_names or tuple(people[0]["keypoints"])
        if any(each["keypoints"].keys() != set(names) for each in people):
            raise SettingsError(f"keypoints are not {brief(names)}, as those of earlier records")
        keypoints = np.array([[each["keypoints"][name] for name in names] for each in people])
        keypoints = keypoints.astype(np.float32).reshape(len(people), len(names), 3)
        keypoints[~np.isfinite(keypoints).all(axis=-1)] = 0
        boxes = np.zeros((len(people), 4), np.float32)
        tracks = [self._track(camera, session, int(each["track_id"])) for each in people]
        return Poses(boxes, boxes[:, 0], keypoints, track_ids=np.array(tracks, np.int32))

    def _track(self, camera: str, session: str, track_id: int) -> int:
        if track_id < 0:
            return UNTRACKED
        key = camera, session, track_id
        return self._tracks.setdefault(key, len(self._tracks))
