# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import numpy as np
import pytest
from room import ROOM, people, seen_by

from kp_pose_ros.poses import ABSENT, UNTRACKED, Poses
from kp_pose_ros.space.multi_camera.joining import MultiCamera, _Ids

NAMES = ("left", "right", "back")
RIG = dict(zip(NAMES, ROOM, strict=True))
JOINTS = people(2, 1)


def views(**fields):
    """What the three cameras see of two people, with other fields where a camera is named."""
    seen = {name: seen_by(view, JOINTS) for name, view in RIG.items()}
    return {name: replace(poses, **fields.get(name, {})) for name, poses in seen.items()}


def ids(*numbers):
    return {"track_ids": np.array(numbers, np.int32)}


def tracked(left, right, back):
    return views(left=ids(*left), right=ids(*right), back=ids(*back))


def test_people_are_joined_best_score_first():
    scores = np.array((0.4, 0.6), np.float32)
    seen = views(
        left={"scores": scores} | ids(3, 4),
        right={"scores": scores / 2} | ids(5, UNTRACKED),
        back={"scores": scores / 2} | ids(7, 8),
    )
    found, places, tracks = MultiCamera(RIG).join(seen)
    np.testing.assert_allclose(places, JOINTS[::-1], atol=1e-4)
    assert tracks == [
        {"left": 4, "right": UNTRACKED, "back": 8},
        {"left": 3, "right": 5, "back": 7},
    ]
    assert found.scores.tolist() == pytest.approx([0.6, 0.4])


def test_a_joined_person_is_in_no_image():
    found, *_ = MultiCamera(RIG).join(views())
    assert not found.boxes.any()
    assert not found.keypoints[..., :2].any()
    assert (found.states == ABSENT).all()
    assert found.keypoints[..., 2] == pytest.approx(0.9)


def test_class_and_age_are_those_of_the_best_and_the_oldest_pose():
    classes = {"class_ids": np.array((3, 3), np.int32), "scores": np.full(2, 0.5, np.float32)}
    other = {"class_ids": np.array((4, 4), np.int32), "track_ages": np.array((5.0, 7.0))}
    found, *_ = MultiCamera(RIG).join(views(left=classes, right=other))
    assert found.class_ids.tolist() == [4, 4]
    assert found.track_ages.tolist() == [5.0, 7.0]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("left", "back"), id="two of three cameras"),
        pytest.param(("back", "right", "left"), id="in another order"),
    ],
)
def test_cameras_are_told_apart_by_their_names(names):
    seen = views()
    found, places, tracks = MultiCamera(RIG).join({name: seen[name] for name in names})
    assert len(found) == 2
    assert [set(each) for each in tracks] == [set(names)] * 2
    np.testing.assert_allclose(places, JOINTS, atol=1e-4)


@pytest.mark.parametrize(
    "seen", [views() | dict.fromkeys(NAMES, Poses.empty(17)), {"left": views()["left"]}]
)
def test_whom_less_than_two_cameras_see_is_not_there(seen):
    found, places, tracks = MultiCamera(RIG).join(seen)
    assert (len(found), places.shape, tracks) == (0, (0, 17, 3), [])


@pytest.mark.parametrize(
    ("first", "then", "same"),
    [
        pytest.param(
            ((1, 2), (3, 4), (5, 6)), ((1, 2), (3, 4), (5, 6)), [True, True], id="goes on"
        ),
        pytest.param(
            ((1, 2), (3, 4), (5, 6)), ((9, 2), (8, 4), (5, 6)), [True, True], id="in one view"
        ),
        pytest.param(
            ((1, 2), (3, 4), (5, 6)), ((9, 2), (8, 4), (7, 6)), [False, True], id="in no view"
        ),
        pytest.param(
            ((1, -1), (-1, -1), (-1, -1)),
            ((1, 2), (-1, 4), (-1, -1)),
            [True, False],
            id="untracked",
        ),
        pytest.param(
            ((1, 2), (3, 4), (5, 6)), ((2, 1), (4, 3), (6, 5)), [False, False], id="they swap"
        ),
    ],
)
def test_an_id_stays_while_any_of_the_tracks_goes_on(first, then, same):
    joiner = MultiCamera(RIG)
    before, after = (joiner.join(tracked(*each))[0].track_ids for each in (first, then))
    assert (before == after).tolist() == same


def test_untracked_people_have_no_id():
    assert MultiCamera(RIG).join(views())[0].track_ids.tolist() == [UNTRACKED, UNTRACKED]


def test_no_two_people_have_one_id_though_they_were_taken_for_one_before():
    joiner = MultiCamera(RIG)
    one = {name: poses[:1] for name, poses in tracked((1, 2), (2, 1), (1, 2)).items()}
    [both] = joiner.join(one)[0].track_ids.tolist()
    found = joiner.join(tracked((1, 2), (1, 2), (1, 2)))[0].track_ids.tolist()
    assert found[0] == both
    assert found[1] != both


def test_tracks_are_not_remembered_for_ever():
    ids = _Ids()
    for track in range(3000):
        ids.of(np.array([[track]], np.int32))
    assert len(ids._known) == 1000
