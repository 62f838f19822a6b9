# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encodings that only other people's converters know, such as rgb16."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.frame import Pixels


def foreign_to_bgr(image: Image) -> Pixels:
    """Return the image as (height, width, 3) uint8 BGR.

    Raises:
        FrameError: no converter is installed, or it does not take this image.
    """
    name, convert = _converter()
    try:
        picture = np.asarray(convert(image))
    except Exception as error:  # each converter has errors of its own, and lets numpy's through
        reason = " ".join(str(error).split())
        raise FrameError(f"{name} does not convert it to bgr8 ({reason})") from error
    if picture.shape != (image.height, image.width, 3) or picture.dtype != np.uint8:
        raise FrameError(f"{name} made no bgr8 picture of it")
    return picture


def _cv_bridge() -> Callable[[Image], Any]:
    from cv_bridge import CvBridge

    bridge = CvBridge()
    return lambda image: bridge.imgmsg_to_cv2(image, "bgr8")


def _rosbags_image() -> Callable[[Image], Any]:
    from rosbags.image import message_to_cvimage

    return lambda image: message_to_cvimage(image, "bgr8")


# A distribution has the first, an environment made of wheels the second.
_CONVERTERS = {"cv_bridge": _cv_bridge, "rosbags-image": _rosbags_image}


@cache
def _converter() -> tuple[str, Callable[[Image], Any]]:
    for name, load in _CONVERTERS.items():
        try:
            return name, load()
        except ImportError:
            continue
    raise FrameError(f"it needs one of the packages {', '.join(_CONVERTERS)}: install cv_bridge")
