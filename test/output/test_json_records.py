# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from importlib.resources import files

import numpy as np
import pytest

from kp_pose_ros.output.json_records import Recorder
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary

SKELETON = Skeleton.from_names("arrow", ("tip", "tail", "nock"))
MS = 1_000_000


def poses(*track_ids):
    n = len(track_ids)
    points = [[[1.5, 2.5, 0.7], [3.25, 4.125, 0.12345], [5, 6, 0.9]]] * n
    return Poses(
        boxes=np.array([[1, 2, 3.14159, 4]] * n, np.float32).reshape(n, 4),
        scores=np.full(n, 0.9, np.float32),
        keypoints=np.array(points, np.float32).reshape(n, 3, 3),
        class_ids=np.ones(n, np.int32),
        track_ids=np.array(track_ids, np.int32),
        states=np.array([[OBSERVED, ABSENT, PREDICTED]] * n, np.uint8).reshape(n, 3),
    )


@pytest.fixture
def recorder():
    return Recorder(
        Vocabulary(SKELETON, ("person", "sign")), robot="r2", camera="front", session="s"
    )


def record(recorder, found, stamp=12_000_000_034, **changes):
    made = recorder.record(found, stamp=stamp, frame_id="camera", size=(480, 640), **changes)
    return json.loads(json.dumps(made, allow_nan=False))


def test_a_record_names_the_keypoints_and_rounds_the_numbers(recorder):
    assert record(recorder, poses(7)) == {
        "v": 1,
        "robot": "r2",
        "camera": "front",
        "session": "s",
        "seq": 0,
        "stamp_ms": 12000,
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
                "keypoints": {
                    "tip": [1.5, 2.5, 0.7],
                    "tail": [3.25, 4.12, 0.0],
                    "nock": [5, 6, 0.0],
                },
            }
        ],
        "gone": [],
    }


def test_the_keypoints_in_space_are_those_that_are_known(recorder):
    places = np.array([[[0.1, 0.2, 1.23456], [np.nan] * 3, [0, 0, 1]]])
    (pose,) = record(recorder, poses(7), keypoints_3d=places)["poses"]
    assert pose["keypoints_3d"] == {"tip": [0.1, 0.2, 1.2346], "nock": [0, 0, 1]}


def test_a_class_without_a_name_is_called_by_its_number():
    assert record(Recorder(Vocabulary(SKELETON, ())), poses(7))["poses"][0]["class"] == "1"


def test_an_image_without_people_is_a_heartbeat(recorder):
    assert record(recorder, poses())["poses"] == []


def test_a_picture_has_no_stamp(recorder):
    assert record(recorder, poses(-1), stamp=None)["stamp_ms"] is None


def test_a_track_that_is_lost_is_listed_as_gone_for_five_seconds(recorder):
    listed = []
    for second, found in enumerate([(1, 2), (2,), (2,), (2, 1), (), *[()] * 6]):
        gone = record(recorder, poses(*found), second * 1000 * MS)["gone"]
        listed.append([each["track_id"] for each in gone])
    assert listed == [[], [1], [1], [], *[[1, 2]] * 6, []]


def test_tracks_are_gone_for_a_while_although_stamps_stand_still(recorder, monkeypatch):
    monkeypatch.setattr("kp_pose_ros.output.json_records._LISTED_AS_GONE", 2 * MS)
    gone = [len(record(recorder, poses(each), stamp=0)["gone"]) for each in range(6)]
    assert gone == [0, 1, 2, 3, 3, 3]


def test_a_session_ends_when_asked_and_when_stamps_jump_back_not_for_a_late_image(recorder):
    stamps = [5000, 5000, 6000, 5750, 6010, 4000, 4100]
    made = [record(recorder, poses(1), stamp * MS) for stamp in stamps]
    assert [each["seq"] for each in made] == [0, 1, 2, 3, 4, 0, 1]
    assert [each["stamp_ms"] for each in made] == [5000, 5000, 6000, 6000, 6010, 4000, 4100]
    recorder.begin_session()
    made.append(record(recorder, poses(), 4200 * MS))
    assert made[-1]["gone"] == []
    assert len({each["session"] for each in made}) == 3


def test_records_follow_the_schema(recorder):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((files("kp_pose_ros.output") / "record.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    places = np.array([[[0.1, 0.2, 1.23456], [np.nan] * 3, [0, 0, 1]]])
    for made in (
        record(recorder, poses(7), keypoints_3d=places),
        record(recorder, poses()),
        record(recorder, poses(-1), stamp=None),
    ):
        validator.validate(made)
        for name in made:
            assert not validator.is_valid({key: made[key] for key in made if key != name})
