# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Letterbox: resizing and padding to the network's size, and its exact inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from kp_pose_ros.image.frame import Pixels
from kp_pose_ros.poses import Floats

PAD_VALUE = 114  # the padding that YOLO networks are trained with


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The geometry that the YOLOv8 reference implementation uses.

    Coordinates are continuous: x = 0 is the left edge of the first pixel.
    """

    source: tuple[int, int]  # (height, width) of the picture, in pixels
    network: tuple[int, int]  # (height, width) of the network's input, in pixels
    resized: tuple[int, int]  # (height, width) of the picture inside the network's input
    top: int  # rows of padding above the picture
    left: int  # columns of padding at its left

    @classmethod
    def fit(cls, source: tuple[int, int], network: tuple[int, int]) -> Letterbox:
        """Return the largest centred fit of a picture of size `source` in `network`."""
        gain = min(network[0] / source[0], network[1] / source[1])
        height, width = (max(1, round(side * gain)) for side in source)
        # The 0.1 puts the odd row or column of padding below or at the right.
        top, left = round((network[0] - height) / 2 - 0.1), round((network[1] - width) / 2 - 0.1)
        return cls(source, network, (height, width), top, left)

    def canvas(self) -> Pixels:
        """Return a new (height, width, 3) uint8 picture of padding, for `apply`."""
        return np.full((*self.network, 3), PAD_VALUE, np.uint8)

    def apply(self, picture: Pixels, canvas: Pixels) -> None:
        """Resize `picture` bilinearly into its place on a `canvas` of this geometry."""
        height, width = self.resized
        inside = canvas[self.top : self.top + height, self.left : self.left + width]
        if self.resized == self.source:
            np.copyto(inside, picture)
        else:
            cv2.resize(picture, (width, height), dst=inside, interpolation=cv2.INTER_LINEAR)

    def to_source(self, xy: Floats) -> Floats:
        """Map (..., 2) points from network pixels to source pixels, clipped to the picture."""
        offset, scale, limit = _mapping(self)
        points: Floats = (xy - offset) * scale
        # np.clip takes three times as long for a few points.
        np.maximum(points, 0, out=points)
        np.minimum(points, limit, out=points)
        return points


@lru_cache(maxsize=64)
def _mapping(letterbox: Letterbox) -> Floats:
    """Return the offset in the network's input, the scale to the source and its size, as x, y."""
    (height, width), (new_height, new_width) = letterbox.source, letterbox.resized
    offset, scale = (letterbox.left, letterbox.top), (width / new_width, height / new_height)
    return np.array((offset, scale, (width, height)), np.float32)
