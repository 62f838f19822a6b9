# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures and videos on disk: reading and writing them."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from kp_pose_ros.errors import FrameError, SettingsError
from kp_pose_ros.image.claims import MAX_PIXELS
from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.image.jpeg import decode_picture
from kp_pose_ros.resources import open_regular, read_file, replace_file

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})

_LARGEST_PICTURE = 4 * MAX_PIXELS  # bytes
_USUAL_RATE = 25.0  # frames a second, for a video that does not state a plausible rate
_HIGHEST_RATE = 1000.0
_COMPLETE = 0.9  # of the announced frames: many containers only estimate their number


@dataclass(frozen=True, slots=True)
class Source:
    """One picture or one video."""

    path: Path
    frame_rate: float  # frames a second; 0 for a picture
    frame_count: int  # how many frames the file claims to have; 0 if it does not say

    @property
    def is_video(self) -> bool:
        """Whether the file is a video."""
        return self.frame_rate > 0

    def __iter__(self) -> Iterator[Pixels]:
        """Yield each frame; see `stamped`."""
        for _, picture in self.stamped():
            yield picture

    def stamped(self) -> Iterator[tuple[int, Pixels]]:
        """Yield each frame's time in the video, in nanoseconds, and the frame.

        Times are the file's own, which differ from the frame rate's if a camera does not keep it;
        where they do not increase, the frame rate's follow. Frames are (height, width, 3) uint8
        BGR.

        Raises:
            FrameError: the file cannot be read; for a video, possibly after some frames.
        """
        if not self.is_video:
            yield 0, read_picture(self.path)
            return
        frames, seconds = 0, -1 / self.frame_rate
        with _capture(self.path) as video:
            for own, picture in _frames(self.path, video):
                seconds = own if own > max(0, seconds) else seconds + 1 / self.frame_rate
                frames += 1
                yield round(seconds * 1e9), picture
        if frames < max(1, _COMPLETE * self.frame_count):
            raise FrameError(
                f"the video {self.path} breaks off after {frames} of {self.frame_count} frames: is "
                "the file complete?"
            )


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """Return the pictures and videos at `paths`; folders are searched, but not recursively.

    Raises:
        FrameError: a path does not exist, is neither picture nor video, or a folder has none.
    """
    return [_open(file) for path in paths for file in _files(path)]


def read_picture(path: Path) -> Pixels:
    """Read one picture as (height, width, 3) uint8 BGR.

    Raises:
        FrameError: the file cannot be read or is not a picture.
    """
    try:
        return decode_picture(read_file(path, _LARGEST_PICTURE))
    except OSError as error:
        raise FrameError(f"{path} cannot be read: {error.strerror}") from error
    except FrameError as error:
        raise FrameError(f"{path} cannot be decoded: {error}") from error


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FrameError(f"{path} does not exist: expected a picture, a video or a folder of them")
    if not path.is_dir():
        return [path]
    try:
        known = [p for p in sorted(path.iterdir()) if p.suffix.lower() in PICTURES | VIDEOS]
    except OSError as error:
        raise FrameError(f"the folder {path} cannot be read: {error.strerror}") from error
    if not known:
        raise FrameError(f"the folder {path} contains neither pictures nor videos")
    return known


def _open(path: Path) -> Source:
    if path.suffix.lower() in PICTURES:
        return Source(path, 0, 1)
    if path.suffix.lower() not in VIDEOS:
        raise FrameError(
            f"{path} is neither a picture ({', '.join(sorted(PICTURES))}) "
            f"nor a video ({', '.join(sorted(VIDEOS))})"
        )
    try:
        with _capture(path) as video:
            rate, count = (video.get(k) for k in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
    except FrameError:  # reported when the file is read, so that it does not stop the others
        rate = count = 0
    return Source(
        path,
        rate if 0 < rate <= _HIGHEST_RATE else _USUAL_RATE,
        int(count) if 0 < count < math.inf else 0,
    )


def write_picture(path: Path, picture: Pixels) -> None:
    """Write a (height, width, 3) BGR picture; the extension of the path selects the format.

    Raises:
        SettingsError: the file cannot be written.
    """
    try:
        content = cv2.imencode(path.suffix, picture)[1].tobytes()
        with replace_file(path) as stream:
            stream.write(content)
    except (OSError, cv2.error) as error:
        raise SettingsError(
            f"{path} cannot be written ({error}): is the disk full or read-only?"
        ) from error


class VideoFile:
    """Writes an MP4 that appears under its name when it is complete and can be read."""

    def __init__(self, path: Path, frame_rate: float) -> None:
        """Prepare to write a file.

        Raises:
            SettingsError: the folder cannot be written.
        """
        self._path = path
        self._frame_rate = frame_rate
        self._writer: cv2.VideoWriter | None = None
        self._written = 0
        try:
            # A folder that only this user can write to: OpenCV follows links that others planted.
            self._folder = tempfile.TemporaryDirectory(prefix=".", dir=path.parent)
            self._temporary = _opencv_path(Path(self._folder.name) / "video.mp4")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} cannot be written: {error}") from error

    def write(self, picture: Pixels) -> None:
        """Add a (height, width, 3) BGR picture of the size of the first.

        Raises:
            SettingsError: the file cannot be written.
        """
        self._writer = self._writer or self._open(picture)
        self._writer.write(picture)
        self._written += 1
        if not self._writer.isOpened():
            raise self._error()

    def close(self) -> None:
        """Complete the file; if no picture was written, there is none.

        Raises:
            SettingsError: what was written cannot be read again.
        """
        with self._folder:
            if self._writer is None:
                return
            self._writer.release()  # reports no error, even where the disk is full
            if not self._is_complete():
                raise self._error()
            Path(self._temporary).replace(self._path)

    def _open(self, picture: Pixels) -> cv2.VideoWriter:
        height, width = picture.shape[:2]
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        return cv2.VideoWriter(self._temporary, codec, self._frame_rate, (width, height))

    def _is_complete(self) -> bool:
        video = cv2.VideoCapture(self._temporary)
        try:
            video.set(cv2.CAP_PROP_POS_FRAMES, self._written - 1)
            # One more where Ctrl-C came within `write`.
            return video.get(cv2.CAP_PROP_FRAME_COUNT) >= self._written and video.read()[0]
        finally:
            video.release()

    def _error(self) -> SettingsError:
        return SettingsError(f"{self._path} cannot be written: is the disk full or read-only?")


def _opencv_path(path: Path) -> str:
    """Return a path for OpenCV, which aborts the process if a string is not UTF-8.

    Raises:
        UnicodeDecodeError: the path is not UTF-8.
    """
    return os.fsencode(path).decode("utf-8")


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    try:
        name = _opencv_path(path)
        with open_regular(path):
            pass
    except OSError as error:
        raise FrameError(f"the video {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FrameError(f"the video {path} has a name that is not UTF-8: rename it") from error
    video = cv2.VideoCapture(name)
    try:
        if not video.isOpened():
            raise FrameError(
                f"the video {path} cannot be opened: expected a whole file of a kind that OpenCV "
                "has a decoder for"
            )
        width, height = (
            video.get(k) for k in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if not width * height <= MAX_PIXELS:
            raise FrameError(
                f"the video {path} claims {width:.0f} x {height:.0f} pixels: expected at most "
                f"{MAX_PIXELS}"
            )
        yield video
    finally:
        video.release()


def _frames(path: Path, video: cv2.VideoCapture) -> Iterator[tuple[float, Pixels]]:
    try:
        while (read := video.read())[0]:
            yield video.get(cv2.CAP_PROP_POS_MSEC) / 1000, read[1]  # type: ignore[misc]
    except cv2.error as error:
        raise FrameError(f"the video {path} cannot be decoded: {error}") from error
