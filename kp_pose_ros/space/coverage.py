# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a camera and a network would find a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_pose_ros.space.camera import CameraModel

PERSON_HEIGHT = 1.7  # metres
# yolo11n-pose finds this share of people who are this many pixels tall in the network's input; see
# tools/measure_recall.py and the table in docs/space.md. Larger models find smaller people.
RECALL = 0.9
LEAST_HEIGHT = 96.0
_STEPS = 64  # from the edge of an image to its middle, to search for the edge of the lens


@dataclass(frozen=True, slots=True)
class Coverage:
    """The region in which a share of RECALL of people of PERSON_HEIGHT is found.

    Attributes:
        left: angle from the optical axis to the edge of the image, or of the part of it that the
            lens shows; radians, positive to the right.
        right: likewise.
        up: likewise, positive down.
        down: likewise.
        min_distance: along the optical axis, metres: beyond it the person fits into the image.
        max_distance: along the optical axis, metres: up to it the person is large enough.
    """

    left: float
    right: float
    up: float
    down: float
    min_distance: float
    max_distance: float


def coverage_of(camera: CameraModel, network_columns: int) -> Coverage:
    """Return the coverage of a network that takes the whole image scaled to so many columns."""
    height, width = camera.size
    x, y = camera.matrix[:2, 2] + 0.5  # K counts from a pixel's centre, poses from its corner
    left, right = (_edge(camera, (end, y), (x, y))[0] for end in (0.0, float(width)))
    up, down = (_edge(camera, (x, end), (x, y))[1] for end in (0.0, float(height)))
    pixels = float(camera.matrix[1, 1]) * network_columns / width  # a metre's, at 1 m
    slopes = {"left": left, "right": right, "up": up, "down": down}
    return Coverage(
        **{side: float(np.arctan(slope)) for side, slope in slopes.items()},
        min_distance=PERSON_HEIGHT / (down - up),
        max_distance=PERSON_HEIGHT * pixels / LEAST_HEIGHT,
    )


def _edge(
    camera: CameraModel, edge: tuple[float, float], middle: tuple[float, float]
) -> tuple[float, float]:
    """Return the point at depth 1 of the pixel nearest to an edge that the lens shows."""
    plane = camera.at_depth_one(np.linspace(edge, middle, _STEPS))
    x, y = plane[np.isfinite(plane).all(axis=1)][0].tolist()
    return x, y
