# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Markers for RViz: the people of one camera in 3D."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header as HeaderMsg
from visualization_msgs.msg import Marker, MarkerArray

from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output.drawing import person_color
from kp_pose_ros.poses import UNTRACKED, Array, Poses
from kp_pose_ros.ros.messages import header_to_msg
from kp_pose_ros.skeleton import Vocabulary

# Metres.
_DOT, _LIMB, _LETTER = 0.06, 0.03, 0.15
_ABOVE = 0.2  # height of the label above the highest keypoint
# A few images, even with a slow engine; after that, the markers of a dead node disappear.
_LIFETIME = Duration(nanosec=500_000_000)


class Markers:
    """Makes the markers of one camera, and deletes those of people who left its image."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, int]] = set()  # namespace and id of each marker

    def build(
        self,
        header: Header,
        poses: Poses,
        keypoints_3d: Array,
        vocabulary: Vocabulary,
    ) -> MarkerArray:
        """Return the message for one image: keypoints, limbs and a label for each person.

        Args:
            header: the image's.
            poses: those found in it.
            keypoints_3d: (n, k, 3) metres in the header's frame, NaN where unknown.
            vocabulary: the model's.
        """
        message, common = MarkerArray(), header_to_msg(header)
        for index in np.flatnonzero(np.isfinite(keypoints_3d[..., 2]).any(axis=1)).tolist():
            message.markers += _person(common, poses, keypoints_3d[index], index, vocabulary)
        now = {(each.ns, each.id) for each in message.markers}
        message.markers += [
            Marker(header=common, ns=space, id=number, action=Marker.DELETE)
            for space, number in sorted(self._shown - now)
        ]
        self._shown = now
        return message


def _person(
    header: HeaderMsg,
    poses: Poses,
    keypoints_3d: Array,
    index: int,
    vocabulary: Vocabulary,
) -> Iterator[Marker]:
    """Yield the markers of the person at an index, from their keypoints, (k, 3)."""
    track_id = int(poses.track_ids[index])
    blue, green, red = (value / 255 for value in person_color(poses, index))
    same = {
        "header": header,
        "action": Marker.ADD,
        "lifetime": _LIFETIME,
        "color": ColorRGBA(r=red, g=green, b=blue, a=1.0),
        # Track ids are 0 and up.
        "id": -1 - index if track_id == UNTRACKED else track_id,
    }
    points = {
        keypoint: Point(x=x, y=y, z=z)
        for keypoint, (x, y, z) in enumerate(keypoints_3d.tolist())
        if not math.isnan(z)
    }
    yield Marker(
        ns="keypoints",
        type=Marker.SPHERE_LIST,
        scale=Vector3(x=_DOT, y=_DOT, z=_DOT),
        points=list(points.values()),
        **same,
    )
    limbs = [edge for edge in vocabulary.skeleton.edges if points.keys() >= set(edge)]
    if limbs:  # RViz reports a list without points as an error
        ends = [points[keypoint] for edge in limbs for keypoint in edge]
        yield Marker(ns="limbs", type=Marker.LINE_LIST, scale=Vector3(x=_LIMB), points=ends, **same)
    label = Marker(ns="labels", type=Marker.TEXT_VIEW_FACING, scale=Vector3(z=_LETTER), **same)
    name = vocabulary.class_name(int(poses.class_ids[index]))
    label.text = name if track_id == UNTRACKED else f"{name} {track_id}".lstrip()
    # y points down.
    xs, ys, zs = keypoints_3d.T
    x, y, z = np.nanmean(xs), np.nanmin(ys), np.nanmean(zs)
    label.pose.position = Point(x=float(x), y=float(y) - _ABOVE, z=float(z))
    yield label
