# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.activities.rules import load_rules
from kp_pose_ros.errors import SettingsError
from kp_pose_ros.resources import config_path
from kp_pose_ros.skeleton import Skeleton

RULE = "rules: {low: {when: hip.y < knee.y}}\n"


def load(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return load_rules(path)


def test_the_shipped_rules_can_be_read_and_fit_people():
    rules = load_rules(config_path("activities.yaml"))
    names = ["raised_hand", "waving", "fallen", "standing_still", "close_together", "in_doorway"]
    assert [rule.name for rule in rules] == names
    assert [rule.name for rule in rules if rule.is_pair] == ["close_together"]
    coco = Skeleton.builtin("coco17").keypoint_names
    assert [rule.missing(coco) for rule in rules] == [[]] * len(rules)


def test_times_are_milliseconds_and_have_defaults(tmp_path):
    (rule,) = load(tmp_path, "rules: {low: {when: hip.y < knee.y, hold: 3, cameras: [front]}}")
    assert (rule.hold_ms, rule.gap_ms, rule.cameras) == (3000, 500, ("front",))


def test_a_definition_is_about_the_second_person_where_b_has_it(tmp_path):
    text = "define: {torso: 'distance(neck, hip)'}\nrules: {near: {when: a.torso < b.torso}}"
    (rule,) = load(tmp_path, text)
    a, b = rule.when.args
    assert ([arg.person for arg in a.args], [arg.person for arg in b.args]) == ([0, 0], [1, 1])


def test_a_rule_tells_which_keypoints_a_model_lacks(tmp_path):
    (rule,) = load(tmp_path, RULE)
    assert rule.missing(["hip"]) == ["knee"]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        pytest.param("[]", "expected a mapping with define, rules, zones", id="a list"),
        pytest.param("rules: {}", "expected 1 to 100 rules, found 0", id="no rules"),
        pytest.param("rule: {}", "the key rule is unknown", id="another key"),
        pytest.param(
            "rules: {low: {}}", "rule low: when: expected an expression", id="no condition"
        ),
        pytest.param("rules: {low: {when: hip.y}}", "expected a condition", id="a length"),
        pytest.param(
            "rules: {low: {when: hip.y < 0, hold: 0}}", "hold: expected 0.001", id="no time"
        ),
        pytest.param(
            "rules: {low: {when: hip.y < 0, hold: .nan}}", "hold: expected", id="not a number"
        ),
        pytest.param(
            "rules: {low: {when: hip.y < 0, gap: 9}}", "gap: expected 0 to 4", id="a long gap"
        ),
        pytest.param(
            "rules: {low: {when: hip.y < 0, cameras: front}}", "expected a list", id="a name"
        ),
        pytest.param(
            "rules: {low: {when: hip.y < 0, hodl: 1}}", "rule low: the key hodl", id="a typo"
        ),
        pytest.param(
            "rules: {'1 low': {when: hip.y < 0}}", "expected a name of letters", id="a bad name"
        ),
        pytest.param(
            "rules: {two: {when: a.hip.y < hip.y}}", "expected a.hip or b.hip", id="one of two"
        ),
        pytest.param(
            "zones: {z: [[0, 0], [1, 1]]}\n" + RULE, "zone z: expected 3 to 64", id="a line"
        ),
        pytest.param("zones: {z: [[0, 0], [1, 1], [2, 1]]}\n" + RULE, "found [2, 1]", id="outside"),
        pytest.param(
            "define: {t: t.x}\n" + RULE.replace("hip.y", "t.y"), "expected .x or .y", id="of itself"
        ),
        pytest.param("{", "cannot be read", id="no YAML"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_the_place(tmp_path, text, phrase):
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert phrase in str(caught.value)
    assert "rules.yaml" in str(caught.value)
