# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Letterbox: resizing and padding to the network's size, and its exact inverse."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from kp_pose_ros.image.frame import Pixels

PAD_VALUE = 114  # the padding that YOLO networks are trained with


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The geometry that the YOLOv8 reference implementation uses.

    Coordinates are continuous: x = 0 is the left edge of the first pixel.

    Attributes:
        source: (height, width) of the picture, in pixels.
        network: (height, width) of the network's input, in pixels.
        resized: (height, width) of the picture inside the network's input.
        top: rows of padding above the picture.
        left: columns of padding at its left.
    """

    source: tuple[int, int]
    network: tuple[int, int]
    resized: tuple[int, int]
    top: int
    left: int

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

    def to_source(self, xy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map (..., 2) points from network pixels to source pixels, clipped to the picture."""
        points = (xy - self._offset) * self._scale
        return np.clip(points, 0, np.array(self.source[::-1], np.float32), out=points)

    def to_network(self, xy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Map (..., 2) points from source pixels to network pixels."""
        return xy / self._scale + self._offset

    @property
    def _offset(self) -> npt.NDArray[np.float32]:
        return np.array((self.left, self.top), np.float32)

    @property
    def _scale(self) -> npt.NDArray[np.float32]:
        (height, width), (new_height, new_width) = self.source, self.resized
        return np.array((width / new_width, height / new_height), np.float32)
