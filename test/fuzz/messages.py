# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages and goals: valid ones, changed ones, and hostile ones of any type."""

import importlib
import math
from contextlib import suppress
from time import time_ns

import cv2
import numpy as np
from mutations import HOSTILE_TEXTS

from kp_pose_ros.skeleton import Skeleton

NUMBERS = (0, 1, -1, 2, 7, 127, 255, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 2**64 - 1)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e30, 1e308, math.inf, -math.inf, math.nan)
TEXTS = [each for each in HOSTILE_TEXTS if each.isascii() or each == "\u202e"]
ENCODINGS = ["bgr8", "mono8", "16UC1", "32FC1", "nv12", "yuyv", "bayer_rggb16", "rgba8", "jpeg"]
LENGTHS = (0, 1, 2, 3, 17, 64, 300)
BODY = Skeleton.builtin("coco17")


def interface(name):
    """Return the class of a message, a service or an action, such as std_msgs/msg/Header."""
    package, kind, name = name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)


class Maker:
    """Makes ROS messages of any type from a random generator."""

    def __init__(self, random):
        self.random = random

    def choose(self, values):
        return values[self.random.integers(len(values))]

    def message(self, kind, depth=0):
        made = kind()
        for name, field in kind.get_fields_and_field_types().items():
            if depth < 6 and self.random.random() < 0.8:
                self._set(made, name, field, depth)
        return made

    def changed(self, made):
        """Change one to three fields of a message, those of messages in it included."""
        for _ in range(self.random.integers(1, 4)):
            part = made
            while True:
                name, field = self.choose([*part.get_fields_and_field_types().items()])
                inner = getattr(part, name)
                if not hasattr(inner, "get_fields_and_field_types") or self.random.random() < 0.2:
                    break
                part = inner
            self._set(part, name, field, 3)
        return made

    def _set(self, made, name, field, depth):
        # Of what rclpy cannot send, nothing changes.
        with suppress(AssertionError, OverflowError, ValueError, TypeError):
            setattr(made, name, self._value(field, depth))

    def _value(self, field, depth):
        if field.startswith("sequence<"):
            inner = field.removeprefix("sequence<").removesuffix(">").partition(",")[0]
            length = self.choose(LENGTHS[:4] if "/" in inner else LENGTHS)
            return [self._value(inner, depth + 1) for _ in range(length)]
        if field.endswith("]"):
            inner, _, length = field.removesuffix("]").partition("[")
            return [self._value(inner, depth + 1) for _ in range(int(length))]
        if "/" in field:
            return self.message(interface(field.replace("/", "/msg/", 1)), depth + 1)
        if field.startswith(("string", "wstring")):
            return self.choose(self.choose((TEXTS, ENCODINGS, ["person", "nose", "camera"])))
        if field == "boolean":
            return bool(self.random.integers(2))
        if field.startswith(("float", "double")):
            return self.choose(FLOATS)
        if field == "octet":
            return bytes([self.random.integers(256)])
        return self._whole(field)

    def _whole(self, field):
        bits = int(field.lstrip("uint") or 8)
        number = self.choose(NUMBERS) % 2**bits
        return number if field.startswith("u") or number < 2 ** (bits - 1) else number - 2**bits


def stamp():
    """Return the time; what is made within a tenth of a second has the same stamp."""
    from builtin_interfaces.msg import Time

    tenths = time_ns() // 10**8
    return Time(sec=tenths // 10, nanosec=tenths % 10 * 10**8)


def image(encoding="bgr8"):
    from sensor_msgs.msg import Image

    made = Image(height=48, width=64, encoding=encoding, step=64 * 3, data=bytes(48 * 64 * 3))
    made.header.frame_id, made.header.stamp = "camera", stamp()
    return made


def compressed():
    from sensor_msgs.msg import CompressedImage

    picture = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    return CompressedImage(format="jpeg", data=picture)


def camera_info():
    from sensor_msgs.msg import CameraInfo

    return CameraInfo(height=48, width=64, k=[60.0, 0, 32, 0, 60, 24, 0, 0, 1])


def skeleton():
    from kp_pose_ros.msg import Skeleton

    return Skeleton(name="body", keypoint_names=BODY.keypoint_names, class_names=["person"])


def poses():
    from geometry_msgs.msg import Point
    from kp_pose_ros.msg import Keypoint, Keypoint3D, KeypointPose, PoseArray

    points = [Keypoint(x=30.0, y=20.0 + place, score=0.9, state=1) for place in range(len(BODY))]
    places = [
        Keypoint3D(position=Point(x=0.2 * (place % 2), y=0.1 * place, z=3.0), valid=True)
        for place in range(len(BODY))
    ]
    people = [
        KeypointPose(
            track_id=number,
            score=0.9,
            class_name="person",
            keypoints=points,
            keypoints_3d=places,
        )
        for number in (1, 2)
    ]
    for each in people:
        each.bbox.center.position.x, each.bbox.center.position.y = 30.0, 30.0
        each.bbox.size_x, each.bbox.size_y = 20.0, 30.0
        each.motion.position_valid = each.motion.velocity_valid = True
        each.motion.position.z = 3.0
    made = PoseArray(skeleton="body", image_width=64, image_height=48, poses=people)
    made.header.frame_id, made.header.stamp = "camera", stamp()
    return made


VALID = {
    "sensor_msgs/msg/Image": image,
    "sensor_msgs/msg/CompressedImage": compressed,
    "sensor_msgs/msg/CameraInfo": camera_info,
    "kp_pose_ros/msg/Skeleton": skeleton,
    "kp_pose_ros/msg/PoseArray": poses,
}
GOALS = {  # that are valid
    "kp_pose_ros/action/WaitForPose": ({"count": 1}, {"keypoints": ["nose"], "count": 2}),
    "kp_pose_ros/action/FollowTarget": (
        {"select": 0},
        {"select": 0, "image_only": True},
        {"select": 1, "activity": "raised_hand"},
        {"select": 2, "track_id": 1},
        {"select": 3, "region": [0.0, 0.0, 1.0, 1.0]},
    ),
}
