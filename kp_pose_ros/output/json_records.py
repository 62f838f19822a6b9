# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON form of a frame's poses: one line a frame, readable without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kp_pose_ros.poses import Floats, Poses
from kp_pose_ros.skeleton import Skeleton

_STAMP = ("sec", "nanosec")


def to_record(
    poses: Poses,
    skeleton: Skeleton,
    *,
    stamp: int | None,
    frame_id: str,
    size: tuple[int, int],
    class_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what `json.dumps` makes a line of.

    Args:
        poses: the poses found in one frame.
        skeleton: names the keypoints.
        stamp: when the frame was taken, in nanoseconds; None if that is not known.
        frame_id: the camera's frame, or the picture's name.
        size: (height, width) of the frame in pixels.
        class_names: the model's, by class id; a class beyond them is called by its number.

    Returns:
        stamp (sec and nanosec, or null), frame_id, width, height, skeleton, and poses, best first:
        track_id (-1: untracked), class, score, bbox (x1 y1 x2 y2, pixels) and keypoints by name
        (x and y in pixels, score). Pixels to two decimals, scores to four.
    """
    height, width = size
    points = _rounded(poses.keypoints[..., :2], 2)
    point_scores = _rounded(poses.keypoints[..., 2], 4)
    boxes, scores = _rounded(poses.boxes, 2), _rounded(poses.scores, 4)
    return {
        "stamp": None if stamp is None else dict(zip(_STAMP, divmod(stamp, 10**9), strict=True)),
        "frame_id": frame_id,
        "width": width,
        "height": height,
        "skeleton": skeleton.name,
        "poses": [
            {
                "track_id": int(poses.track_ids[index]),
                "class": _class_name(int(poses.class_ids[index]), class_names),
                "score": scores[index],
                "bbox": boxes[index],
                "keypoints": {
                    name: [*point, score]
                    for name, point, score in zip(
                        skeleton.keypoint_names, points[index], point_scores[index], strict=True
                    )
                },
            }
            for index in range(len(poses))
        ],
    }


def _rounded(values: Floats, digits: int) -> list[Any]:
    # float32 has no short decimal form for most numbers: 0.9 would be written as 0.899999976.
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()
    return rounded


def _class_name(class_id: int, class_names: Sequence[str]) -> str:
    return class_names[class_id] if 0 <= class_id < len(class_names) else str(class_id)
