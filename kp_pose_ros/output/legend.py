# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the names of keypoints beside people, as an anatomical chart does."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.poses import Bools

Points = npt.NDArray[np.int32]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw_legend(
    picture: Pixels, names: Sequence[str], points: Points, visible: Bools, *, thickness: int
) -> None:
    """Write the names in columns at both sides of each person.

    Args:
        picture: (height, width, 3) uint8 BGR, drawn on in place.
        names: those of the k keypoints.
        points: (n, k, 2), pixels.
        visible: (n, k), which of them to name.
        thickness: of lines, pixels.
    """
    for person, shown in zip(points, visible, strict=True):
        named = np.flatnonzero(shown)
        if len(named) == 0:
            continue
        centre, left, right = (f(person[named, 0]) for f in (np.mean, np.min, np.max))
        for is_right, edge in ((False, int(left)), (True, int(right))):
            column = named[(person[named, 0] >= centre) == is_right]
            of_column = [names[index] for index in column]
            _draw_column(picture, of_column, person[column], edge, is_right, thickness=thickness)


def _draw_column(
    picture: Pixels, names: list[str], points: Points, edge: int, is_right: bool, *, thickness: int
) -> None:
    """Write names one below the other beyond `edge`, each connected to its point by a line."""
    scale, gap = 0.3 * thickness + 0.1, 12 * thickness
    line_height = 1.5 * cv2.getTextSize("Xy", _FONT, scale, thickness)[0][1]
    y = -line_height
    for place in np.argsort(points[:, 1], kind="stable"):
        x_point, y_point = points[place].tolist()
        y = max(y + line_height, y_point)
        width = cv2.getTextSize(names[place], _FONT, scale, thickness)[0][0]
        x = edge + gap if is_right else edge - gap - width
        x = min(max(x, 0), max(0, picture.shape[1] - width))
        joint = (x if is_right else x + width, round(y - line_height / 4))
        cv2.line(picture, (x_point, y_point), joint, _WHITE, 1, cv2.LINE_AA)
        # An outline, so that it can be read on any background.
        for color, stroke in ((_BLACK, thickness + 2), (_WHITE, thickness)):
            origin = (x, round(y))
            cv2.putText(picture, names[place], origin, _FONT, scale, color, stroke, cv2.LINE_AA)
