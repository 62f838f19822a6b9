# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth images and camera_info messages of any ROS library -> DepthImage and CameraModel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.image.message import ImageError, ImageMessage, pixels_of
from kp_pose_ros.space.camera import CameraModel
from kp_pose_ros.space.depth import ENCODINGS, DepthImage


class CameraInfoMessage(Protocol):
    """sensor_msgs/CameraInfo; only these fields are read."""

    height: int
    width: int
    distortion_model: str
    d: Any
    k: Any
    binning_x: int
    binning_y: int
    roi: Any  # sensor_msgs/RegionOfInterest


def depth_of(image: ImageMessage) -> DepthImage:
    """Return the depths in an Image message, as a view of its bytes.

    Raises:
        ImageError: a field contradicts the others, or the encoding is not one of depth.
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


def camera_of(info: CameraInfoMessage, size: tuple[int, int] | None = None) -> CameraModel:
    """Return the camera that a CameraInfo message describes, as its images show it.

    K, height and width are for the full resolution; the images show the region of interest (all
    zero: the full image), in which binning_x times binning_y pixels (0 means 1) are merged into
    one. Both are applied as in image_geometry's PinholeCameraModel.

    Args:
        info: the message.
        size: (height, width) of the images that it has to be for, pixels; None: any.

    Raises:
        CalibrationError: a value is impossible for a camera, the distortion model is unknown, or
            the message is for images of another size.
    """
    roi = info.roi
    camera = _camera(
        (info.height, info.width),
        tuple(info.k),
        info.distortion_model,
        tuple(info.d),
        roi=(roi.x_offset, roi.y_offset, roi.width, roi.height),
        binning=(info.binning_x or 1, info.binning_y or 1),
    )
    if size not in (None, camera.size):
        found, expected = (f"{each[1]} x {each[0]}" for each in (camera.size, size))
        raise CalibrationError(
            f"camera_info is for images of {found}: expected {expected}, the size of the images; "
            "remap `camera_info` to the topic that the camera's driver publishes beside them"
        )
    return camera


@lru_cache(maxsize=64)  # cameras repeat the same camera_info with every picture
def _camera(
    size: tuple[int, int],
    k: tuple[float, ...],
    model: str,
    d: tuple[float, ...],
    *,
    roi: tuple[int, int, int, int],
    binning: tuple[int, int],
) -> CameraModel:
    camera = CameraModel(size, np.array(k), model, np.array(d))
    rows, columns = size
    left, top, width, height = roi if any(roi) else (0, 0, columns, rows)
    if left + width > columns or top + height > rows:
        raise CalibrationError(
            f"camera_info has a region of interest of {width} x {height} pixels at ({left}, {top}) "
            f"in an image of {columns} x {rows}: expected one inside of it; check the driver"
        )
    matrix = camera.matrix.copy()
    matrix[:2, 2] -= left, top
    matrix[:2] /= np.array(binning)[:, None]
    shown = height // binning[1], width // binning[0]
    return CameraModel(shown, matrix, camera.model, camera.coefficients)
