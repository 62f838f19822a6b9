# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np

from kp_pose_ros.output.json_records import to_record
from kp_pose_ros.poses import Poses
from kp_pose_ros.skeleton import Skeleton

SKELETON = Skeleton.from_names("arrow", ("tip", "tail"))
POSES = Poses(
    boxes=np.array([[1, 2, 3.14159, 4]], np.float32),
    scores=np.array([0.9], np.float32),
    keypoints=np.array([[[1.5, 2.5, 0.7], [3.25, 4.125, 0.12345]]], np.float32),
    class_ids=np.array([1], np.int32),
    track_ids=np.array([7], np.int32),
)


def record(poses=POSES, **changes):
    given = {"stamp": 12_000_000_034, "frame_id": "camera", "size": (480, 640)}
    made = to_record(poses, SKELETON, **{**given, **changes})
    return json.loads(json.dumps(made))


def test_a_record_names_the_keypoints_and_rounds_the_numbers():
    assert record(class_names=("person", "sign")) == {
        "stamp": {"sec": 12, "nanosec": 34},
        "frame_id": "camera",
        "width": 640,
        "height": 480,
        "skeleton": "arrow",
        "poses": [
            {
                "track_id": 7,
                "class": "sign",
                "score": 0.9,
                "bbox": [1.0, 2.0, 3.14, 4.0],
                "keypoints": {"tip": [1.5, 2.5, 0.7], "tail": [3.25, 4.12, 0.1235]},
            }
        ],
    }


def test_a_class_without_a_name_is_called_by_its_number():
    assert record()["poses"][0]["class"] == "1"


def test_a_frame_without_people_has_an_empty_list():
    assert record(Poses.empty(2))["poses"] == []


def test_a_picture_has_no_stamp():
    assert record(stamp=None)["stamp"] is None
