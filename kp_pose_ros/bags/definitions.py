# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The message types used to read and write bags."""

from __future__ import annotations

from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from kp_pose_ros.resources import interfaces_path

# From vision_msgs 4, which rosbags does not include.
_VISION = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "Point2D position\nfloat64 theta",
    "BoundingBox2D": "Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": (
        "ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose"
    ),
    "Detection2D": (
        "std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\nstring id"
    ),
    "Detection2DArray": "std_msgs/Header header\nDetection2D[] detections",
}


def make_typestore() -> Any:
    """Return a rosbags typestore with ROS's own types, vision_msgs and this package's.

    ROS's own are those of Humble: bags of later distributions contain their definitions.
    """
    store = get_typestore(Stores.ROS2_HUMBLE)
    texts = {f"vision_msgs/msg/{name}": text for name, text in _VISION.items()}
    for path in sorted(interfaces_path().glob("*.msg")):
        texts[f"kp_pose_ros/msg/{path.stem}"] = path.read_text(encoding="utf-8")
    for name, text in texts.items():
        store.register(get_types_from_msg(text, name))
    return store
