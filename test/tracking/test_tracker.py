# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
from scenes import people

from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.tracking import tracker as tracker_module
from kp_pose_ros.tracking.association import COCO_SIGMAS
from kp_pose_ros.tracking.tracker import Tracker, TrackingSettings, make_trackers

START = 1_700_000_000_000_000_000  # a wall clock's nanoseconds
WRIST = 9


def at(seconds: float) -> int:
    return START + round(seconds * 1e9)


def tracker(ids=None, **settings) -> Tracker:
    return Tracker(
        TrackingSettings(**{"min_hits": 1, "smoothing": 1.0, "predict_ms": 200.0} | settings),
        COCO_SIGMAS,
        itertools.count() if ids is None else ids,
    )


def ids_of(a_tracker: Tracker, poses: Poses, seconds: float) -> list[int]:
    return a_tracker.update(poses, at(seconds)).track_ids.tolist()


def test_people_keep_their_ids_whatever_their_order():
    follow = tracker()
    assert ids_of(follow, people((100, 300), (500, 300)), 0) == [0, 1]
    assert ids_of(follow, people((505, 300), (105, 300)), 0.1) == [1, 0]


def test_an_id_takes_min_hits_images_in_a_row():
    follow = tracker(min_hits=3)
    found = [ids_of(follow, people((100, 300)), i / 10) for i in range(4)]
    assert found == [[-1], [-1], [0], [0]]


def test_somebody_seen_now_and_then_gets_no_id():
    follow = tracker(min_hits=2)
    for i in range(6):
        assert ids_of(follow, people(*[(100, 300)] * (i % 2)), i / 10) == [-1] * (i % 2)


def test_the_age_of_a_track_is_the_time_since_it_was_first_seen():
    follow = tracker(min_hits=2)
    ages = [follow.update(people((100, 300)), at(s)).track_ages[0] for s in (0, 0.25, 0.5)]
    assert ages == pytest.approx([0, 0.25, 0.5])


@pytest.mark.parametrize("images_a_second", [2, 10, 100])
@pytest.mark.parametrize(
    ("gone", "same"), [pytest.param(0.9, True, id="short"), pytest.param(1.1, False, id="long")]
)
def test_a_track_ends_by_time_not_by_the_number_of_images(images_a_second, gone, same):
    follow = tracker(max_age=1.0)
    [before] = ids_of(follow, people((100, 300)), 0)
    for i in range(1, int(gone * images_a_second) + 1):
        ids_of(follow, people(), i / images_a_second)
    [after] = ids_of(follow, people((100, 300)), gone)
    assert (after == before) == same


def test_ids_are_not_given_again_after_a_reset_or_by_another_camera():
    ids = itertools.count()
    front, rear = tracker(ids), tracker(ids)
    given = ids_of(front, people((100, 300)), 0) + ids_of(rear, people((100, 300)), 0)
    front.reset()
    assert [*given, *ids_of(front, people((100, 300)), 1)] == [0, 1, 2]


def test_time_that_jumps_back_resets_with_a_log_line(caplog):
    follow = tracker()
    ids_of(follow, people((100, 300)), 5)
    assert ids_of(follow, people((100, 300)), 2) == [1]
    assert "camera: time jumped back by 3.000 s" in caplog.text


IN_ORDER = tuple(range(0, 1000, 50))  # milliseconds
JITTER = tuple(i * 50 - (51 if i % 5 == 4 else 0) for i in range(20))


@pytest.mark.parametrize(
    ("milliseconds", "ids", "resets"),
    [
        pytest.param(JITTER, 1, 0, id="every fifth image 1 ms before the one before it"),
        pytest.param((*IN_ORDER, 900, 910, 960, 1010), 1, 0, id="one image 50 ms late"),
        pytest.param((*IN_ORDER, 720, 770, 820, 1000), 1, 0, id="a clock set back by 230 ms"),
        pytest.param((1000, 1100, 1200, 500, 600, 700), 2, 1, id="a looping bag"),
        pytest.param((*IN_ORDER, *IN_ORDER, *IN_ORDER), 3, 2, id="a bag that loops twice"),
    ],
)
def test_a_small_step_back_is_a_late_image_and_a_large_one_a_new_time(
    milliseconds, ids, resets, caplog
):
    follow = tracker(min_hits=2)
    given = [
        follow.update(people((100, 300)), at(each / 1000), (720, 1280)).track_ids[0]
        for each in milliseconds
    ]
    assert set(given) == {-1, *range(ids)}
    assert given.count(-1) == resets + 1
    assert caplog.text.count("time jumped back") == resets
    assert caplog.text.count("tracking starts over") == resets


@pytest.mark.parametrize("hz", [2, 10])
@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(1e6, id="far in the future"),
        pytest.param(0.9, id="a little in the future"),
        pytest.param(-50.0, id="far in the past"),
        pytest.param(-START * 1e-9 + 1, id="a clock that has not been set"),
        pytest.param(-0.9, id="a little in the past"),
    ],
)
def test_one_odd_stamp_costs_one_image_not_the_ids(odd, hz, caplog):
    follow = tracker(min_hits=2)
    seconds = [i / hz + odd * (i == 5) for i in range(10)]
    given = [follow.update(people((100, 300)), at(each), (720, 1280)) for each in seconds]
    assert {int(each.track_ids[0]) for each in given[1:5] + given[6:]} == {0}
    assert given[9].track_ages[0] == pytest.approx(9 / hz)
    assert "tracking continues" in caplog.messages[-1]


def test_an_image_without_a_stamp_ends_no_track(caplog):
    follow = tracker()
    stamps = [at(1.0), at(1.1), 0, at(1.3), 0, 0, at(1.6)]
    given = [follow.update(people((100, 300)), each, (720, 1280)).track_ids[0] for each in stamps]
    assert set(given) == {0}
    assert not caplog.messages


def test_tracks_end_although_stamps_stand_still():
    follow = tracker(max_age=0.1)
    for _ in range(3):
        ids_of(follow, people((100, 300)), 0)
    for _ in range(101):
        ids_of(follow, people(), 0)
    assert ids_of(follow, people((100, 300)), 0) == [1]


def test_an_image_of_nobody_comes_back_as_it_is():
    nobody = people()
    assert tracker().update(nobody, at(0)) is nobody


def test_trackers_of_several_cameras_share_their_ids_and_say_whose_they_are(caplog):
    skeleton = Skeleton.from_names("coco17", [f"point{i}" for i in range(17)])
    labels = {"front": "camera 'front'", "rear": "camera 'rear'"}
    trackers = make_trackers(skeleton, labels, TrackingSettings(min_hits=1))
    assert ids_of(trackers["front"], people((100, 300)), 5) == [1]
    assert ids_of(trackers["rear"], people((100, 300)), 5) == [2]
    assert ids_of(trackers["rear"], people((100, 300)), 2) == [3]
    assert caplog.messages == ["camera 'rear': time jumped back by 3.000 s: tracking starts over"]


def test_images_of_another_size_reset_with_a_log_line(caplog):
    follow = tracker()
    ids = [
        follow.update(people((100, 300), (300, 300)), frame * 33_000_000, size).track_ids.tolist()
        for frame, size in enumerate([(480, 640), (480, 640), (720, 1280), (720, 1280)])
    ]
    assert ids[1] == [0, 1]
    assert not {0, 1} & set(ids[3])
    assert "changed from (480, 640) to (720, 1280)" in caplog.text


def test_two_images_of_one_stamp_are_no_trouble(caplog):
    follow = tracker()
    assert ids_of(follow, people((100, 300)), 1) == ids_of(follow, people((101, 300)), 1) == [0]
    assert not caplog.text


def test_a_camera_cut_resets_with_a_log_line(caplog):
    follow = tracker()
    ids_of(follow, people((100, 300), (300, 300)), 0)
    ids_of(follow, people((700, 500), (1000, 500)), 0.03)
    assert "camera cut" in caplog.text
    assert ids_of(follow, people((100, 300), (300, 300)), 0.06) != [0, 1]


def test_an_empty_image_is_no_cut(caplog):
    follow = tracker()
    ids_of(follow, people((100, 300), (300, 300)), 0)
    ids_of(follow, people(), 0.03)
    assert ids_of(follow, people((100, 300), (300, 300)), 0.06) == [0, 1]
    assert not caplog.text


@pytest.mark.parametrize(
    ("score", "first", "later"),
    [
        pytest.param(0.9, 0, 0, id="a certain pose begins a track"),
        pytest.param(0.3, -1, -1, id="an uncertain pose begins none"),
    ],
)
def test_who_begins_a_track(score, first, later):
    follow = tracker(high_score=0.5)
    assert ids_of(follow, people((100, 300), score=score), 0) == [first]
    assert ids_of(follow, people((100, 300), score=score), 0.1) == [later]


def test_an_uncertain_pose_continues_a_track():
    follow = tracker(high_score=0.5)
    ids_of(follow, people((100, 300)), 0)
    assert ids_of(follow, people((100, 300), score=0.3), 0.1) == [0]


@pytest.mark.parametrize(
    ("score", "similarity", "continues"),
    [
        pytest.param(0.9, 0.21, True, id="a certain pose that is a little similar"),
        pytest.param(0.9, 0.19, False, id="a certain pose that is less similar"),
        pytest.param(0.3, 0.41, True, id="an uncertain pose that is similar"),
        pytest.param(0.3, 0.39, False, id="an uncertain pose that is less similar"),
    ],
)
def test_how_similar_a_pose_is_that_continues_a_track(score, similarity, continues, monkeypatch):
    follow = tracker(high_score=0.5)
    [before] = ids_of(follow, people((100, 300)), 0)
    monkeypatch.setattr(tracker_module, "similarity", lambda *_: np.array([[similarity]]))
    [after] = ids_of(follow, people((100, 300), score=score), 0.1)
    assert (after == before) == continues


def test_classes_are_not_mixed_up():
    follow = tracker()
    ids_of(follow, people((100, 300), class_id=0), 0)
    assert ids_of(follow, people((100, 300), class_id=1), 0.1) == [1]


def test_a_missing_image_does_not_stop_a_walker():
    follow = tracker()
    walk = [(100 + 250 * s, 300) for s in np.arange(0, 2, 0.1)]
    for i, place in enumerate(walk[:10]):
        ids_of(follow, people(place), i / 10)
    assert ids_of(follow, people(walk[17]), 1.7) == [0]


def test_when_the_camera_turns_nobody_is_taken_for_a_neighbour():
    places = [(100 * i, 300) for i in range(2, 8)]
    follow = tracker()
    before = ids_of(follow, people(*places), 0)
    ids_of(follow, people(*places), 0.03)
    turned = [(x + 40, y + 10) for x, y in places]
    assert ids_of(follow, people(*turned), 0.06) == before


@pytest.mark.parametrize(
    ("hidden_for", "state"),
    [
        pytest.param(0.15, PREDICTED, id="shortly hidden"),
        pytest.param(0.3, ABSENT, id="hidden for long"),
    ],
)
def test_a_keypoint_that_is_shortly_hidden_is_carried_on(hidden_for, state):
    follow = tracker(predict_ms=200)
    follow.update(people((100, 300)), at(0))
    after = follow.update(people((100, 300), hidden=[WRIST]), at(hidden_for))
    assert after.states[0, WRIST] == state
    assert (np.delete(after.states[0], WRIST) == OBSERVED).all()


def test_a_predicted_keypoint_goes_with_the_body_not_with_the_models_guess():
    follow = tracker()
    for i in range(20):
        follow.update(people((100 + 10 * i, 300)), at(i / 30))
    truth = people((300, 300), hidden=[WRIST])
    guess = truth.keypoints.copy()
    guess[0, WRIST, :2] = 0
    after = follow.update(replace(truth, keypoints=guess), at(20 / 30))
    np.testing.assert_allclose(after.keypoints[0, WRIST, :2], truth.keypoints[0, WRIST, :2], atol=5)


def test_without_smoothing_the_models_positions_stay_as_they_are():
    follow = tracker(smoothing=0)
    for i in range(5):
        shaken = people((100 + 7 * (-1) ** i, 300), hidden=[0])
        after = follow.update(shaken, at(i / 30))
        np.testing.assert_array_equal(after.keypoints, shaken.keypoints)


def test_smoothing_calms_and_leaves_its_input_alone():
    follow = tracker()
    inputs = [people((100 + (-1) ** i, 300)) for i in range(60)]
    copies = [poses.keypoints.copy() for poses in inputs]
    outputs = [follow.update(poses, at(i / 30)) for i, poses in enumerate(inputs)]
    x = np.array([poses.keypoints[0, :, 0] for poses in outputs[30:]])
    assert x.std(axis=0).max() < 0.33
    np.testing.assert_array_equal([poses.keypoints for poses in inputs], copies)


def test_settings_can_be_replaced_while_it_runs():
    follow = tracker()
    follow.update(people((100, 300)), at(0))
    follow.settings = replace(follow.settings, enabled=False)
    poses = people((100, 300))
    assert follow.update(poses, at(0.1)) is poses
    follow.settings = replace(follow.settings, enabled=True)
    assert ids_of(follow, people((100, 300)), 0.2) == [1]


def test_a_skeleton_of_one_keypoint_and_boxes_without_size_are_followed(caplog):
    caplog.set_level(logging.WARNING)
    follow = Tracker(TrackingSettings(min_hits=1), np.array([0.07]))
    poses = Poses(
        np.ones((1, 4), np.float32), np.ones(1, np.float32), np.ones((1, 1, 3), np.float32)
    )
    assert [ids_of(follow, poses, s) for s in (0, 0.1, 0.2)] == [[1]] * 3
