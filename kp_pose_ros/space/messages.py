# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images and camera_info messages, checked: of any library that gives them ROS's fields."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from kp_pose_ros.image.message import ImageError, ImageMessage, pixels_of
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.depth import ENCODINGS, DepthImage


class CameraInfoMessage(Protocol):
    """sensor_msgs/CameraInfo; what is not named here is not read."""

    height: int
    width: int
    distortion_model: str
    d: Any
    k: Any


def depth_of(image: ImageMessage) -> DepthImage:
    """Return the depths in an Image message: a view of its bytes.

    Raises:
        ImageError: a field contradicts the others, or the encoding is no depth.
    """
    if image.encoding not in ENCODINGS:
        raise ImageError(
            "encoding",
            f"encoding is '{image.encoding}': expected one of {', '.join(ENCODINGS)}; remap "
            "`depth` to the driver's depth image that is registered to the picture",
        )
    for field in ("height", "width"):
        if getattr(image, field) == 0:
            raise ImageError(field, f"{field} is 0: expected at least 1")
    dtype, _ = ENCODINGS[image.encoding]
    return DepthImage(pixels_of(image, image.height, 1, dtype), image.encoding)


def camera_of(info: CameraInfoMessage) -> CameraModel:
    """Return the camera that a CameraInfo message describes.

    Raises:
        CalibrationError: no camera can be like this, or the distortion model is unknown.
    """
    return _camera(info.height, info.width, tuple(info.k), info.distortion_model, tuple(info.d))


@lru_cache(maxsize=64)  # cameras say the same with every picture
def _camera(
    height: int, width: int, k: tuple[float, ...], model: str, d: tuple[float, ...]
) -> CameraModel:
    return CameraModel((height, width), np.array(k), model, np.array(d))
