# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from sighted import Someone, people

from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.following.follower import NOBODY
from kp_pose_ros.resources import config_path
from kp_pose_ros.ros.bridges.choice import Choice, Select

NEAR, FAR = Someone(7, x=0.8, z=2.0), Someone(3, x=-0.8, z=4.0)


@pytest.mark.parametrize(
    ("goal", "chosen"),
    [
        pytest.param({}, NEAR, id="the nearest"),
        pytest.param({"select": Select.TRACK, "track_id": 3}, FAR, id="a track"),
        pytest.param({"select": Select.TRACK, "track_id": 4}, None, id="a track that is not there"),
        pytest.param({"select": Select.REGION, "region": (0, 0, 0.5, 1)}, FAR, id="the left half"),
        pytest.param({"select": Select.REGION, "region": (0, 0, 1, 0.1)}, None, id="the top"),
        pytest.param({"select": Select.ACTIVITY, "activity": "raised_hand"}, FAR, id="activity"),
    ],
)
def test_the_nearest_of_those_who_match_is_chosen(goal, chosen):
    someone = (FAR, NEAR)
    index = Choice(**goal).choose(people(*someone), active=[3])
    assert (someone[index] if index != NOBODY else None) == chosen


def test_without_a_distance_nobody_is_near_but_in_the_image_the_tallest_is():
    flat = people(Someone(3, x=-0.8, z=4.0, depth=False), Someone(7, z=2.0, depth=False))
    assert Choice().choose(flat, []) == NOBODY
    assert Choice(image_only=True).choose(flat, []) == 1
    assert Choice().choose(people(), []) == NOBODY


RULES = load_rules(config_path("activities.yaml"))


def test_a_rule_counts_for_every_camera():
    rule = Choice(select=Select.ACTIVITY, activity="in_doorway").rule(RULES)
    assert (rule.name, rule.cameras) == ("in_doorway", ())
    assert Choice().rule(RULES) is None


@pytest.mark.parametrize(
    ("goal", "sentence"),
    [
        pytest.param({"select": 9}, "select is 9: expected one of 0 (NEAREST)", id="select"),
        pytest.param({"select": Select.TRACK}, "track_id is -1 and select is TRACK", id="no id"),
        pytest.param({"track_id": 3}, "track_id is 3 and select is NEAREST", id="a spare id"),
        pytest.param({"select": Select.REGION}, "region is []", id="no region"),
        pytest.param({"region": (0, 0, 1, 1)}, "select is NEAREST", id="a spare region"),
        pytest.param({"select": 3, "region": (0, 0, math.nan, 1)}, "region is", id="NaN"),
        pytest.param({"select": 3, "region": (0.5, 0, 1.5, 1)}, "region is", id="outside"),
        pytest.param({"select": Select.ACTIVITY}, "expected the name of a rule", id="no activity"),
        pytest.param(
            {"select": Select.ACTIVITY, "activity": "dancing"},
            "'dancing' has no rule: expected one of raised_hand",
            id="unknown activity",
        ),
        pytest.param(
            {"select": Select.ACTIVITY, "activity": "close_together"},
            "is about two people",
            id="a pair's activity",
        ),
        pytest.param({"timeout": -(10**9)}, "timeout is -1 s", id="timeout"),
        pytest.param({"patience": 31 * 10**9}, "patience is 31 s: expected 0 to 30 s", id="long"),
    ],
)
def test_a_goal_that_makes_no_sense_is_refused_with_one_sentence(goal, sentence):
    with pytest.raises(SettingsError) as error:
        Choice(**goal).rule(RULES)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
