# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages -> Frames, checked; and pictures -> Image messages."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from kp_pose_ros.image import message as image_message
from kp_pose_ros.image.frame import Frame, Pixels
from kp_pose_ros.ros.foreign import foreign_to_bgr


def image_to_frame(image: Image) -> Frame:
    """Return the picture in an Image message: a view of its bytes, if `Frame` has the encoding.

    Raises:
        ImageError: a field contradicts the others, or the encoding cannot be read.
    """
    return image_message.image_to_frame(image, foreign_to_bgr)


class PictureMessage:
    """A bgr8 Image message whose memory serves every picture of one size."""

    def __init__(self) -> None:
        self.message = Image(encoding="bgr8")
        self._pixels: Pixels = np.empty((0, 0, 3), np.uint8)

    def fill(self, header: Header, picture: Pixels) -> Pixels:
        """Copy `picture`, (height, width, 3) BGR, into the message; return the copy, to draw on."""
        if self._pixels.shape != picture.shape:
            self._allocate(*picture.shape[:2])
        np.copyto(self._pixels, picture)
        self.message.header = header
        return self._pixels

    def _allocate(self, height: int, width: int) -> None:
        self.message.height, self.message.width, self.message.step = height, width, width * 3
        # Once a size: rclpy copies what is assigned, anything but an array of type B byte by byte.
        self.message.data = array.array("B", bytes(height * width * 3))
        self._pixels = np.frombuffer(self.message.data, np.uint8).reshape(height, width, 3)
