# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from sighted import Someone, people

from kp_pose_ros.activities.rules import load_rules
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


def test_a_rule_counts_for_every_camera():
    rules = load_rules(config_path("activities.yaml"))
    rule = Choice(select=Select.ACTIVITY, activity="in_doorway").rule(rules)
    assert (rule.name, rule.cameras) == ("in_doorway", ())
    assert Choice().rule(rules) is None
