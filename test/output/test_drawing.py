# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest

from kp_pose_ros.output import drawing
from kp_pose_ros.output.drawing import Annotator, Style
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary

NOTHING = {"boxes": False, "labels": False, "limbs": False, "keypoints": False}
SKELETON = Skeleton(
    name="stick",
    keypoint_names=("head", "foot"),
    edges=((0, 1),),
    keypoint_colors=((255, 0, 0), (0, 255, 0)),
    edge_colors=((0, 0, 255),),
)


def person(head=(100.0, 50.0), score=0.9, track_id=-1) -> Poses:
    return Poses(
        boxes=np.array([[60, 40, 140, 180]], np.float32),
        scores=np.array([0.8], np.float32),
        keypoints=np.array([[(*head, score), (100, 170, 0.9)]], np.float32),
        track_ids=np.array([track_id], np.int32),
        states=np.array([[OBSERVED if score > 0.5 else ABSENT, OBSERVED]], np.uint8),
    )


def drawn(poses: Poses, **style) -> np.ndarray:
    picture = np.zeros((200, 200, 3), np.uint8)
    Annotator(Vocabulary(SKELETON, ("person",)), Style(**(NOTHING | style))).draw(picture, poses)
    return picture


@pytest.mark.parametrize(
    ("style", "place", "color"),
    [
        pytest.param({"keypoints": True}, (50, 100), (0, 0, 255), id="a dot of the part's colour"),
        pytest.param({"keypoints": True}, (170, 100), (0, 255, 0), id="another part, another one"),
        pytest.param({"limbs": True}, (110, 100), (255, 0, 0), id="a limb of its edge's colour"),
        pytest.param({"limbs": True}, (110, 60), (0, 0, 0), id="no box if not asked for"),
    ],
)
def test_what_is_drawn_where(style, place, color):
    assert tuple(drawn(person(), **style)[place]) == color


@pytest.mark.parametrize("item", ["boxes", "labels", "limbs", "keypoints", "legend"])
def test_each_item_can_be_switched_on_alone(item):
    assert drawn(person(), **{item: True}).any()


def test_nothing_is_drawn_when_all_is_off():
    assert not drawn(person()).any()


def test_an_absent_keypoint_takes_its_limb_with_it():
    assert not drawn(person(score=0.1), limbs=True).any()
    assert not drawn(person(score=0.1), keypoints=True)[:100].any()


def test_a_predicted_keypoint_is_drawn():
    poses = person(score=0.1)
    poses.states[0, 0] = PREDICTED
    assert drawn(poses, limbs=True).any()


def test_a_track_keeps_its_colour_when_the_order_changes():
    alone = drawn(person(track_id=7), limbs=True, color_by="track")
    other = person(head=(20.0, 20.0), track_id=3)
    both = Poses(
        *(
            np.concatenate((getattr(other, name), getattr(person(track_id=7), name)))
            for name in ("boxes", "scores", "keypoints", "class_ids", "track_ids")
        )
    )
    second = drawn(both, limbs=True, color_by="track")
    assert alone[110, 100].any()
    assert tuple(second[110, 100]) == tuple(alone[110, 100])


def test_people_without_tracks_differ_in_colour():
    two = person()[np.array((0, 0))]
    two.boxes[1] += 20
    picture = drawn(two, boxes=True)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 3


def test_colours_are_bgr_of_the_skeletons_rgb():
    assert tuple(drawn(person(), keypoints=True)[50, 100]) == (0, 0, 255)


@pytest.mark.parametrize(
    "poses",
    [
        pytest.param(Poses.empty(2), id="nobody"),
        pytest.param(person(head=(-1e9, 1e9)), id="a keypoint far outside"),
        pytest.param(person(head=(0.0, 0.0)), id="a keypoint in the corner"),
    ],
)
@pytest.mark.parametrize("size", [(200, 200), (1, 1), (3, 2000)])
def test_any_picture_and_pose_can_be_drawn(poses, size):
    picture = np.zeros((*size, 3), np.uint8)
    Annotator(Vocabulary(SKELETON, ("person",)), Style(legend=True)).draw(picture, poses)


def test_a_class_that_has_no_name_is_numbered():
    poses = person()
    poses.class_ids[:] = 4
    assert drawn(poses, labels=True).any()


def test_words_of_a_label_may_have_different_baselines(monkeypatch):
    """As they have since OpenCV 5, where only the letters that reach below the line count."""
    measure = cv2.getTextSize

    def by_letters(text, *how):
        size, baseline = measure(text, *how)
        return size, baseline if set(text) & set("gjpqy") else 0

    monkeypatch.setattr(cv2, "getTextSize", by_letters)
    drawing._ink.cache_clear()
    assert drawn(person(track_id=1), labels=True).any()
