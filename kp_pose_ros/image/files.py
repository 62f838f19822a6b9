# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos on disk, as the streams of pictures that they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Pixels

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})

_USUAL_RATE = 25.0  # frames a second of a video that does not tell its own
_COMPLETE = 0.9  # of the frames announced: many containers only estimate their number


@dataclass(frozen=True, slots=True)
class Source:
    """One picture or one video.

    Attributes:
        path: the file.
        frame_rate: frames a second; 0 for a picture.
        frame_count: how many frames it has, by its own word; 0 if it does not say.
    """

    path: Path
    frame_rate: float
    frame_count: int

    @property
    def is_video(self) -> bool:
        """Whether the file is a video."""
        return self.frame_rate > 0

    def __iter__(self) -> Iterator[Pixels]:
        """Yield each frame as (height, width, 3) uint8 BGR.

        Raises:
            FrameError: the file cannot be read; of a video, perhaps after some frames.
        """
        if not self.is_video:
            yield read_picture(self.path)
            return
        frames = 0
        with _capture(self.path) as video:
            if not video.isOpened():
                raise FrameError(
                    f"the video {self.path} cannot be opened: expected a whole file of a kind that "
                    "OpenCV has a decoder for"
                )
            while (read := video.read())[0]:
                frames += 1
                yield read[1]  # type: ignore[misc]
        if frames < max(1, _COMPLETE * self.frame_count):
            raise FrameError(
                f"the video {self.path} breaks off after {frames} of {self.frame_count} frames: is "
                "the file complete?"
            )


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """Return the pictures and videos that `paths` name; folders are searched, not recursively.

    Raises:
        FrameError: a path does not exist, is neither picture nor video, or a folder has none.
    """
    return [_open(file) for path in paths for file in _files(path)]


def read_picture(path: Path) -> Pixels:
    """Read one picture as (height, width, 3) uint8 BGR.

    Raises:
        FrameError: the file cannot be read or is no picture.
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error
    picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if picture is None:
        raise FrameError(
            f"{path} cannot be decoded: expected a whole picture ({', '.join(sorted(PICTURES))})"
        )
    if picture.shape[:2] == (1, 1):
        raise FrameError(f"{path} has one pixel: expected a picture")
    return picture  # type: ignore[return-value]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FrameError(f"{path} does not exist: expected a picture, a video or a folder of them")
    if not path.is_dir():
        return [path]
    known = [p for p in sorted(path.iterdir()) if p.suffix.lower() in PICTURES | VIDEOS]
    if not known:
        raise FrameError(f"the folder {path} holds neither pictures nor videos")
    return known


def _open(path: Path) -> Source:
    if path.suffix.lower() in PICTURES:
        return Source(path, 0, 1)
    if path.suffix.lower() not in VIDEOS:
        raise FrameError(
            f"{path} is neither a picture ({', '.join(sorted(PICTURES))}) "
            f"nor a video ({', '.join(sorted(VIDEOS))})"
        )
    # One that cannot be opened says so when it is read, so that it does not stop the others.
    with _capture(path) as video:
        rate, count = (video.get(k) for k in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
    return Source(path, rate or _USUAL_RATE, max(0, int(count)))


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    video = cv2.VideoCapture(str(path))
    try:
        yield video
    finally:
        video.release()
