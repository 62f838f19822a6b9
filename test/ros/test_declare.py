# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
import rclpy
from rclpy.parameter import Parameter

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.parameters import RULES, declare_parameters, follow_changes


@pytest.fixture
def make_node(ros_node):  # for its rclpy.init
    nodes = []

    def make(**overrides):
        given = [Parameter(name, value=value) for name, value in overrides.items()]
        nodes.append(rclpy.create_node("declaring", parameter_overrides=given))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


def test_ranges_are_described(make_node):
    node = make_node()
    declare_parameters(node)
    (threshold,) = node.describe_parameter("score_threshold").floating_point_range
    (batch,) = node.describe_parameter("max_batch").integer_range
    assert (threshold.from_value, threshold.to_value) == (0.0, 1.0)
    assert (batch.from_value, batch.to_value) == (1, 64)


def test_what_the_node_was_started_with_is_what_it_runs_with(make_node):
    node = make_node(score_threshold=1, cameras=["front", "rear"], imgsz=[384, 640])
    parameters = declare_parameters(node)
    assert parameters.cameras == ("front", "rear")
    assert node.get_parameter("score_threshold").value == 1.0
    assert node.get_parameter("imgsz").value == "384, 640"


def test_an_empty_list_is_taken_as_one(make_node):
    """`-p cameras:=[]` reaches rclpy without a type and a value."""
    assert declare_parameters(make_node(cameras=None)).cameras == ("",)
    with pytest.raises(SettingsError, match=r"parameter 'model' is \[\]: expected a text"):
        declare_parameters(make_node(model=None))


def test_a_changed_threshold_is_handed_on(make_node):
    node, adopted = make_node(), []
    follow_changes(node, declare_parameters(node), adopted.append, lambda: "active")
    node.set_parameters([Parameter("score_threshold", value=0.5)])
    node.set_parameters([Parameter("annotated.legend", value=True)])
    assert adopted[-1].decode.score_threshold == 0.5
    assert adopted[-1].style.legend is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("score_threshold", 1.5, id="out of range"),
        pytest.param("annotated.color_by", "mood", id="not among the choices"),
        pytest.param("model", "other.pt", id="read when configured"),
        pytest.param("cameras", ["front"], id="read when configured, a list"),
        pytest.param("autostart", False, id="read at the start"),
    ],
)
def test_a_refused_change_gives_a_reason_and_changes_nothing(make_node, name, value):
    node, adopted = make_node(), []
    follow_changes(node, declare_parameters(node), adopted.append, lambda: "active")
    before = node.get_parameter(name).value
    (result,) = node.set_parameters([Parameter(name, value=value)])
    assert not result.successful
    assert name in result.reason or RULES[name].is_fixed
    assert node.get_parameter(name).value == before
    assert adopted == []


@pytest.mark.parametrize("state", ["configuring", "inactive", "activating", "active"])
def test_what_configure_reads_changes_only_in_the_state_unconfigured(make_node, state):
    node, adopted = make_node(), []
    states = iter(["unconfigured", state, state])
    follow_changes(node, declare_parameters(node), adopted.append, lambda: next(states))

    def set_model(value):
        return node.set_parameters([Parameter("model", value=value)])[0]

    assert set_model("first.pt").successful
    refused = set_model("second.pt")
    assert "'model' can be set only in the state 'unconfigured'" in refused.reason
    assert f"the node is '{state}'" in refused.reason
    assert set_model("first.pt").successful, "no change"
    assert [each.model for each in adopted] == ["first.pt", "first.pt"]
