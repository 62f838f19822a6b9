# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.poses import ABSENT, OBSERVED, PREDICTED, Poses
from kp_pose_ros.ros.bridges.matching import Condition, Hold

NAMES = ("nose", "left_wrist", "right_wrist")
SIZE = (480, 640)
SECOND = 10**9

# Sure, left, near; less sure, in the middle, far; unsure, right, nobody knows how far.
POSES = Poses(
    boxes=np.array([[0, 200, 100, 400], [270, 200, 370, 400], [540, 200, 640, 400]], np.float32),
    scores=np.array([0.9, 0.6, 0.3], np.float32),
    keypoints=np.zeros((3, 3, 3), np.float32),
    states=np.array(
        [[OBSERVED, OBSERVED, ABSENT], [OBSERVED, ABSENT, OBSERVED], [OBSERVED, PREDICTED, ABSENT]],
        np.uint8,
    ),
)
DISTANCES = np.array([1.5, 6, math.nan], np.float32)


def matches(**condition):
    return np.flatnonzero(Condition(**condition).matches(POSES, SIZE, NAMES, DISTANCES)).tolist()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param({}, [0, 1, 2], id="anybody"),
        pytest.param({"min_score": 0.6}, [0, 1], id="a score, reached exactly"),
        pytest.param({"keypoints": ("nose",)}, [0, 1, 2], id="a keypoint that everybody shows"),
        pytest.param({"keypoints": ("left_wrist",)}, [0], id="a keypoint: predicted is not seen"),
        pytest.param({"keypoints": ("left_wrist", "right_wrist")}, [], id="keypoints: all of them"),
        pytest.param({"region": (0, 0, 0.5, 1)}, [0, 1], id="left half, its edge included"),
        pytest.param({"region": (0.5, 0, 1, 1)}, [1, 2], id="right half, its edge included"),
        pytest.param({"region": (0.1, 0, 1, 1)}, [1, 2], id="all but a tenth at the left"),
        pytest.param({"region": (0, 0, 1, 0.5)}, [], id="upper half, centres lie lower"),
        pytest.param({"region": (0, 0.5, 1, 1)}, [0, 1, 2], id="lower half"),
        pytest.param({"region": (0, 0.75, 1, 1)}, [], id="lowest quarter"),
        pytest.param({"region": (0, 0, 1, 0.53125)}, [], id="a tall region ends above centres"),
        pytest.param({"region": (0, 0, 1, 0.625)}, [0, 1, 2], id="its lower edge included"),
        pytest.param({"region": (0, 0.625, 1, 1)}, [0, 1, 2], id="its upper edge included"),
        pytest.param({"max_distance": 2}, [0], id="near: unknown does not match"),
        pytest.param({"min_distance": 2}, [1], id="far: unknown does not match"),
        pytest.param({"min_distance": 1, "max_distance": 7}, [0, 1], id="a range of distances"),
        pytest.param({"min_distance": 1.5, "max_distance": 6}, [0, 1], id="its ends included"),
        pytest.param({"min_distance": 0.5}, [0, 1], id="very near: unknown does not match"),
        pytest.param(
            {"min_score": 0.5, "max_distance": 7, "keypoints": ("right_wrist",)}, [1], id="all"
        ),
    ],
)
def test_only_people_who_meet_every_condition_match(condition, expected):
    assert matches(**condition) == expected


def test_an_image_without_people_has_no_match():
    condition = Condition(keypoints=("nose",), region=(0, 0, 1, 1), max_distance=5)
    assert len(condition.matches(Poses.empty(0), SIZE, NAMES, np.zeros(0, np.float32))) == 0


def test_a_keypoint_that_the_skeleton_lacks_is_named():
    with pytest.raises(SettingsError, match="no keypoint 'tail': expected one of nose, left_wrist"):
        matches(keypoints=("nose", "tail"))


@pytest.mark.parametrize(
    ("condition", "phrase"),
    [
        pytest.param({"count": 0}, "count is 0", id="nobody at all"),
        pytest.param({"min_score": 1.5}, "min_score is 1.5", id="a score above 1"),
        pytest.param({"min_score": math.nan}, "min_score is nan", id="no number as score"),
        pytest.param({"region": (0, 0, 1)}, "region is", id="three numbers as region"),
        pytest.param({"region": (0.5, 0, 0.5, 1)}, "region is", id="a region without width"),
        pytest.param({"region": (0, 0, 640, 480)}, "fractions", id="a region in pixels"),
        pytest.param({"region": (0, 0.5, 1, 0.5)}, "region is", id="a region without height"),
        pytest.param({"region": (0, 0, 1.5, 1)}, "region is", id="a region beyond the right edge"),
        pytest.param({"region": (0, 0, 1, 1.5)}, "region is", id="a region beyond the lower edge"),
        pytest.param({"region": (-0.1, 0, 1, 1)}, "region is", id="a region left of the image"),
        pytest.param({"region": (0, -0.1, 1, 1)}, "region is", id="a region above the image"),
        pytest.param({"min_distance": -1}, "min_distance is -1", id="a negative distance"),
        pytest.param(
            {"min_distance": 2, "max_distance": 2}, "max_distance 2", id="a range without width"
        ),
        pytest.param(
            {"min_distance": 3, "max_distance": 2}, "max_distance 2", id="farthest before nearest"
        ),
        pytest.param({"hold": -SECOND}, "hold is -1 s", id="a negative hold"),
        pytest.param({"timeout": -SECOND // 2}, "timeout is -0.5 s", id="a negative timeout"),
        pytest.param(
            {"region": (0.0,) * 10**6}, r"region is \[0.0, 0.0,.*\.\.\.\]: ", id="a huge region"
        ),
    ],
)
def test_an_inconsistent_condition_is_refused(condition, phrase):
    with pytest.raises(SettingsError, match=phrase):
        Condition(**condition)


def test_a_condition_may_use_the_whole_range():
    assert Condition(min_score=1, region=(0, 0, 1, 1)).count == 1


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param([(True, 5.0)], 0, id="the first image"),
        pytest.param([(True, 5.0), (True, 5.5), (True, 6.0)], 1, id="an unbroken row"),
        pytest.param([(True, 5.0), (False, 5.5), (True, 6.0)], 0, id="broken by an image"),
        pytest.param([(True, 5.0), (True, 5.5), (False, 6.0)], 0, id="over"),
        pytest.param([(True, 5.0), (True, 6.0), (True, 7.0)], 2, id="one image a second"),
        pytest.param([(True, 5.0), (True, 6.5), (True, 7.0)], 0.5, id="broken by a gap"),
        pytest.param([(True, 5.0), (True, 5.5), (True, 5.5)], 0.5, id="an image that comes twice"),
        pytest.param([(True, 5.0), (False, 5.5), (True, 9.0)], 0, id="a gap while it was not so"),
        pytest.param([(True, 5.0), (True, 1.0), (True, 1.5)], 0.5, id="a bag that starts again"),
        pytest.param([(True, 5.0), (True, 5.5), (True, 5.25)], 0.5, id="a late image"),
        pytest.param(
            [(True, 5.0), (True, 5.5), (True, 5.4), (True, 6.0)], 1, id="an image after a late one"
        ),
        pytest.param([(True, 5.0), (True, 5.0), (True, 5.0)], 0, id="a frozen camera"),
        pytest.param([(True, 5.0), (True, 0), (True, 6.0)], 1, id="an image without a stamp"),
        pytest.param([(True, 0), (True, 0), (True, 0)], 0, id="a camera without stamps"),
        pytest.param([(True, 5.0), (True, 9e6), (True, 5.5)], 0.5, id="one far in the future"),
        pytest.param([(True, 5.0), (True, 1.0), (True, 5.5)], 0.5, id="one far in the past"),
        pytest.param([(True, 5.0), (False, 9e6), (True, 5.5)], 0, id="odd, and not met"),
    ],
)
def test_time_is_counted_while_it_holds(images, expected):
    hold = Hold()
    held = [hold.update(is_met, round(stamp * SECOND)) for is_met, stamp in images]
    assert held[-1] == expected * SECOND
