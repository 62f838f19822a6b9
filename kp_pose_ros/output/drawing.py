# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws poses on a picture."""

from __future__ import annotations

import colorsys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.frame import Pixels, Size
from kp_pose_ros.output.legend import draw_legend
from kp_pose_ros.poses import ABSENT, UNTRACKED, Bools, Floats, Poses
from kp_pose_ros.settings import setting
from kp_pose_ros.skeleton import Vocabulary

Bgr = tuple[int, int, int]  # blue, green, red, as OpenCV takes them
Points = npt.NDArray[np.int32]  # (..., 2), in 1/16 pixel

_SHIFT = 4  # OpenCV draws to 1/16 of a pixel, which keeps slow movements smooth
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FAR_OUTSIDE = 32_000  # no wider canvas exists; keeps the 1/16 pixels inside an int32
_GOLDEN_RATIO = 0.618034  # neighbours in a sequence of these hues are far apart


@dataclass(frozen=True, slots=True)
class Style:
    """What is drawn, and how. ABSENT keypoints, and limbs to them, never are."""

    boxes: bool = setting(True, "Draw a rectangle around each pose.")
    labels: bool = setting(True, "Write class, track and score at each pose.")
    limbs: bool = setting(True, "Draw the skeleton's edges.")
    keypoints: bool = setting(True, "Draw a dot at each keypoint.")
    legend: bool = setting(False, "Write each keypoint's name beside it.")
    color_by: str = setting(
        "part",
        "Colour of limbs and dots: by body part, or by the person's track.",
        choices=("part", "track"),
    )


class Annotator:
    """Draws the poses of one model: its skeleton, its classes."""

    def __init__(self, vocabulary: Vocabulary, style: Style | None = None) -> None:
        self.style = style or Style()
        self._vocabulary = vocabulary
        skeleton = vocabulary.skeleton
        self._edges = np.array(skeleton.edges, np.intp).reshape(-1, 2)
        self._limb_colors = [color[::-1] for color in skeleton.edge_colors]
        self._dot_colors = [color[::-1] for color in skeleton.keypoint_colors]

    def draw(
        self, picture: Pixels, poses: Poses, notes: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """Draw all poses into a picture, in place.

        Args:
            picture: (height, width, 3) uint8 BGR.
            poses: those in it.
            notes: text to append to the label of a track, by track id.
        """
        style = self.style
        thickness = line_width(picture.shape[:2])
        visible = poses.states != ABSENT
        # OpenCV counts from a pixel's centre, half a pixel from its edge, where poses count from.
        points = _fixed_point(poses.keypoints[..., :2] - 0.5)
        colors = [person_color(poses, index) for index in range(len(poses))]
        if style.boxes:
            corners = _fixed_point(poses.boxes.reshape(-1, 2, 2) - 0.5)
            for (start, end), color in zip(corners.tolist(), colors, strict=True):
                cv2.rectangle(picture, start, end, color, thickness, cv2.LINE_8, _SHIFT)
        by_person = colors if style.color_by == "track" else None
        if style.limbs:
            self._draw_limbs(picture, points, visible, by_person, thickness)
        if style.keypoints:
            self._draw_dots(picture, points, visible, by_person, thickness)
        if style.labels:
            for index, color in enumerate(colors):
                x, y = poses.boxes[index, :2]
                noted = (notes or {}).get(int(poses.track_ids[index]), ())
                label = ", ".join([self._label(poses, index), *noted])
                _draw_label(picture, label, (x, y), color, thickness)
        if style.legend:
            names = self._vocabulary.skeleton.keypoint_names
            draw_legend(picture, names, points >> _SHIFT, visible, thickness=thickness)

    def _draw_limbs(
        self,
        picture: Pixels,
        points: Points,
        visible: Bools,
        by_person: list[Bgr] | None,
        thickness: int,
    ) -> None:
        segments = points.take(self._edges, axis=1)  # (n, edges, 2 ends, 2), contiguous for OpenCV
        drawn = visible[:, self._edges].all(axis=2)
        groups: defaultdict[Bgr, list[Points]] = defaultdict(list)
        for person, edge in np.argwhere(drawn).tolist():
            color = by_person[person] if by_person else self._limb_colors[edge]
            groups[color].append(segments[person, edge])
        for color, lines in groups.items():
            cv2.polylines(picture, lines, False, color, 2 * thickness, cv2.LINE_8, _SHIFT)

    def _draw_dots(
        self,
        picture: Pixels,
        points: Points,
        visible: Bools,
        by_person: list[Bgr] | None,
        thickness: int,
    ) -> None:
        radius = (2 * thickness + 1) << _SHIFT
        people, indices = np.nonzero(visible)
        centers = points[people, indices].tolist()
        for person, index, center in zip(people.tolist(), indices.tolist(), centers, strict=True):
            color = by_person[person] if by_person else self._dot_colors[index]
            cv2.circle(picture, center, radius, color, cv2.FILLED, cv2.LINE_8, _SHIFT)

    def _label(self, poses: Poses, index: int) -> str:
        class_id, track_id = int(poses.class_ids[index]), int(poses.track_ids[index])
        name = self._vocabulary.class_name(class_id) or f"class {class_id}"
        track = "" if track_id == UNTRACKED else f" {track_id}"
        return f"{name}{track} {poses.scores[index]:.2f}"


def line_width(size: Size) -> int:
    """Return the width of lines on a picture of (height, width), in pixels."""
    return max(1, round(min(size) / 360))


def _fixed_point(xy: Floats) -> Points:
    clipped = np.clip(xy, -_FAR_OUTSIDE, _FAR_OUTSIDE)
    return np.rint(clipped * (1 << _SHIFT)).astype(np.int32)


def person_color(poses: Poses, index: int) -> Bgr:
    """Return a colour that stays with a track; without tracks, one per index."""
    track_id = int(poses.track_ids[index])
    number = index if track_id == UNTRACKED else track_id
    red, green, blue = colorsys.hsv_to_rgb((number * _GOLDEN_RATIO) % 1, 0.75, 1.0)
    return round(blue * 255), round(green * 255), round(red * 255)


def _draw_label(
    picture: Pixels, text: str, corner: tuple[float, float], color: Bgr, thickness: int
) -> None:
    """Write `text` on a filled background above `corner`, or below where the picture ends."""
    label = np.concatenate([_ink(f"{word} ", thickness) for word in text.split()], axis=1)
    height, width = label.shape
    left = int(min(max(corner[0], 0), max(0, picture.shape[1] - width)))
    bottom = int(max(corner[1], height))
    place = picture[bottom - height : bottom, left : left + width]
    rows, columns = place.shape[:2]
    place[:] = _shades(color).take(label[:rows, :columns], axis=0)


@lru_cache(maxsize=1024)
def _ink(word: str, thickness: int) -> Pixels:
    """Return the coverage of each pixel by a word, 0 to 255.

    The words of labels hardly change from picture to picture, and OpenCV takes 0.3 ms to draw one.
    """
    scale = 0.4 * thickness + 0.1
    (width, _), _ = cv2.getTextSize(word, _FONT, scale, thickness)
    # The same for all words: since OpenCV 5, only letters below the line make a baseline.
    (_, height), baseline = cv2.getTextSize("Xy", _FONT, scale, thickness)
    ink = np.zeros((height + baseline, width), np.uint8)
    origin = (0, height + baseline - baseline // 2)
    cv2.putText(ink, word, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    return ink


@lru_cache(maxsize=256)
def _shades(color: Bgr) -> Pixels:
    """Return a colour mixed with 0 to 255 parts of black ink, (256, 3)."""
    return (np.outer(np.arange(255, -1, -1), color) // 255).astype(np.uint8)
