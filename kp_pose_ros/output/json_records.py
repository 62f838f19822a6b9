# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON record of one image's poses: the same from every command, and on Kafka.

`record.schema.json`, beside this module, describes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import numpy as np

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.poses import OBSERVED, UNTRACKED, Array, Floats, Poses
from kp_pose_ros.skeleton import Vocabulary
from kp_pose_ros.timing import LATE, ImageClock

VERSION = 1
# The records list a lost track for this many nanoseconds after the first record without it, so
# that a consumer that groups records by track learns when an activity ends.
_LISTED_AS_GONE = 5 * 10**9

_MS = 10**6  # nanoseconds
_SCALE = np.array([1e2, 1e2, 1e4])  # keypoints have two decimals, their scores four


@contextmanager
def open_lines(path: Path, *, overwrite: bool = False) -> Iterator[TextIO]:
    """Open a new file for a JSON object a line.

    Raises:
        SettingsError: it cannot be written, or exists and `overwrite` is false.
    """
    try:
        if overwrite:
            path.unlink(missing_ok=True)  # so "x" below does not follow a planted link
        with path.open("x", encoding="utf-8") as lines:
            yield lines
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error


class Recorder:
    """Makes the records of one camera, in the order of its images.

    A session is a run of images in which a track id means the same person. It ends with
    `begin_session`, or when the stamps jump back, because a bag was restarted or a clock was set.
    An image that is a little late gets the stamp of the newest, so that stamps never decrease.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        robot: str = "",
        camera: str = "",
        session: str | None = None,
    ) -> None:
        """Begin the first session.

        Args:
            vocabulary: the model's; a class without a name is named by its number.
            robot: the robot's name.
            camera: the camera's name, unique on the robot.
            session: the first session's name; None: a random one.
        """
        self.vocabulary = vocabulary
        self._source = {"robot": robot, "camera": camera}
        self._begin(session or _random_name())

    def begin_session(self) -> None:
        """Begin a new session, in which a track id means another person."""
        self._begin(_random_name())

    def _begin(self, session: str) -> None:
        self._session = session
        self._seq = -1
        self._clock = ImageClock()
        self._present: set[int] = set()
        self._gone: dict[int, int] = {}  # by track id, the time of the first record without it

    def record(
        self,
        poses: Poses,
        *,
        stamp: int | None,
        frame_id: str,
        size: tuple[int, int],
        keypoints_3d: Array | None = None,
    ) -> dict[str, Any]:
        """Return the record of the next image, ready for `json.dumps`.

        Args:
            poses: the poses found in the image.
            stamp: when the image was taken, in nanoseconds; None if that is not known.
            frame_id: the camera's frame, or the picture's name.
            size: (height, width) of the image in pixels.
            keypoints_3d: (n, k, 3) metres, NaN where unknown; None: no depth is used.
        """
        if stamp is not None:
            if self._clock.back(stamp) > LATE:
                self.begin_session()
            self._clock.advance(stamp)
            stamp = self._clock.newest
        self._seq += 1
        return {
            "v": VERSION,
            **self._source,
            "session": self._session,
            "seq": self._seq,
            "stamp_ms": None if stamp is None else stamp // _MS,
            "frame_id": frame_id,
            "width": size[1],
            "height": size[0],
            "skeleton": self.vocabulary.skeleton.name,
            "poses": self._people(poses, keypoints_3d),
            "gone": self._update_gone(poses) if stamp is not None else [],
        }

    def _people(self, poses: Poses, keypoints_3d: Array | None) -> list[dict[str, Any]]:
        names = self.vocabulary.skeleton.keypoint_names
        # Most float32 numbers have no short decimal form: 0.9 would be written as 0.899999976.
        points = np.rint(poses.keypoints * _SCALE) / _SCALE
        points[..., 2] *= poses.states == OBSERVED
        rounded = points.tolist()
        boxes, scores = _rounded(poses.boxes, 2), _rounded(poses.scores, 4)
        ids, class_ids = poses.track_ids.tolist(), poses.class_ids.tolist()
        people = [
            {
                "track_id": ids[index],
                "class": self.vocabulary.class_name(class_ids[index]) or str(class_ids[index]),
                "score": scores[index],
                "bbox": boxes[index],
                "keypoints": dict(zip(names, rounded[index], strict=True)),
            }
            for index in range(len(poses))
        ]
        if keypoints_3d is not None:
            for person, points_3d in zip(people, keypoints_3d.round(4), strict=True):
                named = zip(names, points_3d, strict=True)
                person["keypoints_3d"] = {
                    name: point.tolist() for name, point in named if np.isfinite(point).all()
                }
        return people

    def _update_gone(self, poses: Poses) -> list[dict[str, int]]:
        if not (len(poses) or self._present or self._gone):
            return []
        now = self._clock.now
        present = set(poses.track_ids.tolist()) - {UNTRACKED}
        for track_id in self._present - present:
            self._gone[track_id] = now
        self._gone = {
            track_id: since
            for track_id, since in self._gone.items()
            if track_id not in present and now - since <= _LISTED_AS_GONE
        }
        self._present = present
        return [{"track_id": track_id} for track_id in sorted(self._gone)]


def _random_name() -> str:
    return uuid4().hex[:12]


def _rounded(values: Floats, digits: int) -> list[Any]:
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rounded
