# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a camera and a network would find a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import Array
from kp_pose_ros.space.camera import CameraModel

PERSON_HEIGHT = 1.7  # metres
# yolo11n-pose finds this share of people who are this many pixels tall in the network's input; see
# tools/measure_recall.py and the table in docs/space.md. Larger models find smaller people.
RECALL = 0.9
LEAST_HEIGHT = 96.0

_STEPS = 64  # from the edge of an image to its middle, to search for the edge of the lens
_GRID = 9  # rows and columns of the pixels at which the lens is examined
_CORNERS = 32  # of the polygon that stands for a circle
_DENSEST = 1e9  # pixels per radian; no lens has as many
_STEEP = 1e-6  # radians; a camera nearer to the vertical looks in no direction


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
        max_distance: from the camera, metres: up to it the person is large enough, wherever in the
            image.
    """

    left: float
    right: float
    up: float
    down: float
    min_distance: float
    max_distance: float


def coverage_of(camera: CameraModel, network_columns: int) -> Coverage:
    """Return the coverage of a network that takes the whole image scaled to so many columns.

    Raises:
        CalibrationError: by the lens's calibration, the image shows nothing.
    """
    height, width = camera.size
    x, y = camera.matrix[:2, 2] + 0.5  # K counts from a pixel's centre, poses from its corner
    left, right = (_edge(camera, (end, y), (x, y))[0] for end in (0.0, float(width)))
    up, down = (_edge(camera, (x, end), (x, y))[1] for end in (0.0, float(height)))
    density = _pixels_per_radian(camera, (x, y))
    if not (left < right and up < down and density < _DENSEST):
        raise CalibrationError(
            f"camera_info has the matrix K {camera.matrix.ravel().tolist()} and the distortion "
            f"{camera.coefficients.tolist()}, by which the image shows nothing: expected a lens's; "
            "calibrate the camera"
        )
    pixels = density * network_columns / width
    slopes = {"left": left, "right": right, "up": up, "down": down}
    return Coverage(
        **{side: float(np.arctan(slope)) for side, slope in slopes.items()},
        min_distance=PERSON_HEIGHT / (down - up),
        max_distance=PERSON_HEIGHT * pixels / LEAST_HEIGHT,
    )


def floor_of(coverage: Coverage, rotation: Array, origin: Array) -> Array:
    """Return the part of the floor on which a standing person of PERSON_HEIGHT would be found.

    There, feet and head are inside the image, and the angle between them is at least that of a
    person at `max_distance`: from high above, people look shorter. The image is taken to end at its
    edges' angles on all of their length.

    Args:
        coverage: the camera's.
        rotation: (3, 3), of the camera, whose z axis points forward and whose y axis down, in a
            frame with z = 0 on the floor and the z axis up.
        origin: (3,) metres, of the camera in that frame.

    Returns:
        (m, 2) metres, the corners of a convex polygon; none if there is no such place.
    """
    # Where the ends of the person appear at that angle, seen from `origin`, is a circle around the
    # place below it. If the camera is above the head, there is one more circle within: closer, it
    # looks down on people too steeply.
    height = float(origin[2])
    middle = PERSON_HEIGHT / 2 / np.tan(min(PERSON_HEIGHT / coverage.max_distance, np.pi / 3))
    square = middle**2 - height * (height - PERSON_HEIGHT)
    if square < 0:
        return np.zeros((0, 2))
    near, far = middle - np.sqrt(square), middle + np.sqrt(square)
    turns = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    corners: Array = origin[:2] + far * np.column_stack((np.cos(turns), np.sin(turns)))
    ahead = rotation[:2, 2]
    if np.linalg.norm(ahead) < _STEEP:
        ahead = -rotation[:2, 1]  # the image's upper edge is ahead
    ahead = ahead / np.linalg.norm(ahead)
    corners = _clip(corners, ahead, -float(ahead @ origin[:2]) - max(near, 0))
    left, right, up, down = np.tan((coverage.left, coverage.right, coverage.up, coverage.down))
    # Planes whose inner side is where normal . point + offset >= 0, in the camera's frame.
    normals = np.array(((1, 0, -left), (-1, 0, right), (0, 1, -up), (0, -1, down))) @ rotation.T
    offsets = -normals @ origin
    for end in (0.0, PERSON_HEIGHT):
        for normal, offset in zip(normals, offsets + end * normals[:, 2], strict=True):
            corners = _clip(corners, normal[:2], float(offset))
    return corners


def _clip(corners: Array, normal: Array, offset: float) -> Array:
    """Return the part of a convex polygon where normal . point + offset >= 0.

    I. Sutherland, G. Hodgman: Reentrant Polygon Clipping, Communications of the ACM 17, 1974.
    """
    inside = corners @ normal + offset
    kept = []
    for index in range(len(corners)):
        before, here = inside[index - 1], inside[index]
        if (before < 0) != (here < 0):
            share = before / (before - here)
            kept.append((1 - share) * corners[index - 1] + share * corners[index])
        if here >= 0:
            kept.append(corners[index])
    return np.array(kept).reshape(-1, 2)


def _edge(
    camera: CameraModel, edge: tuple[float, float], middle: tuple[float, float]
) -> tuple[float, float]:
    """Return the point at depth 1 of the shown pixel nearest to an edge; NaN if none is shown."""
    plane = camera.at_depth_one(np.linspace(edge, middle, _STEPS))
    x, y = plane[np.isfinite(plane).all(axis=1).argmax()].tolist()
    return x, y


def _pixels_per_radian(camera: CameraModel, middle: tuple[float, float]) -> float:
    """Return by how many pixels rays that are a small angle apart are apart at least, per radian.

    For a lens without distortion, that is its focal length, in the middle; fisheyes and distorted
    lenses may show less at their edges.
    """
    height, width = camera.size
    x, y = np.meshgrid(np.linspace(0, width, _GRID), np.linspace(0, height, _GRID))
    pixels = np.column_stack((np.append(x, middle[0]), np.append(y, middle[1])))
    across, along = (
        camera.rays(pixels + step) - camera.rays(pixels - step) for step in ((0.5, 0), (0, 0.5))
    )
    known = np.isfinite(across + along).all(axis=1)
    a, b, c = (
        (first * second).sum(axis=1)[known]
        for first, second in ((across, across), (across, along), (along, along))
    )
    # The largest singular value of the derivative of the rays.
    largest = np.sqrt((a + c) / 2 + np.hypot((a - c) / 2, b))
    return float(1 / largest.max(initial=1 / (2 * _DENSEST)))
