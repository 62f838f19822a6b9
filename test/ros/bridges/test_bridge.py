# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How all nodes other than the pose node handle parameters and QoS overrides."""

from functools import partial
from importlib import import_module
from time import monotonic_ns

import pytest
from kp_pose_ros.msg import PoseArray
from node_process import PATIENCE
from rclpy.parameter import Parameter

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.bridges.bridge import Bridge, OnDemand
from kp_pose_ros.ros.compat import PrintableLogger
from kp_pose_ros.ros.qos import RESULTS

FOREIGN = {"annotations": "foxglove_msgs", "hri_bodies": "hri_msgs", "people": "people_msgs"}


@pytest.fixture
def make(ros_node):  # for its rclpy.init
    """Maker of a node that was started with these parameters."""
    nodes = []

    def make(kind, *arguments, **given):
        parameters = [Parameter(name, value=value) for name, value in given.items()]
        nodes.append(kind(*arguments, parameter_overrides=parameters))
        return nodes[-1]

    yield make
    for node in nodes:
        if hasattr(node, "close"):
            assert node.close(PATIENCE)
        node.destroy_node()


@pytest.fixture
def warnings(monkeypatch):
    found = []
    told = set()

    def warning(_, text, once=False, **__):
        if not once or text not in told:
            told.add(text)
            found.append(text)

    monkeypatch.setattr(PrintableLogger, "warning", warning)
    return found


def test_timeouts_count_simulated_time_and_otherwise_no_clock_that_may_be_set(make):
    assert make(Bridge, "simulated", use_sim_time=True).now() == 0  # /clock has not begun
    begin = monotonic_ns()
    assert begin <= make(Bridge, "real").now() <= monotonic_ns()


@pytest.mark.parametrize(
    ("remapped", "topic"),
    [
        pytest.param({}, "/robot/front/skeleton", id="nothing"),
        pytest.param({"front/poses": "/rear/poses"}, "/rear/skeleton", id="the poses"),
        pytest.param({"front/poses": "poses_3d"}, "/robot/skeleton", id="to the joined poses"),
        pytest.param(
            {"front/poses": "/rear/poses", "front/skeleton": "/bones"}, "/bones", id="both"
        ),
    ],
)
def test_a_skeleton_is_beside_its_poses_wherever_these_are_remapped_to(make, remapped, topic):
    remaps = [each for pair in remapped.items() for each in ("-r", ":=".join(pair))]
    arguments = ["--ros-args", "-r", "__ns:=/robot", *remaps]
    kind = partial(Bridge, cli_args=arguments, use_global_arguments=False)
    assert make(kind, "remapped").skeleton_topic("front/") == topic


@pytest.mark.parametrize(
    ("name", "kind", "override"),
    [
        pytest.param("activities", "ActivitiesNode", "activities.publisher", id="activities"),
        pytest.param("annotations", "AnnotationsNode", "annotations.publisher", id="annotations"),
        pytest.param("event_feed", "EventFeed", "poses.subscription", id="event_feed"),
        pytest.param("follow_target", "FollowTargetServer", "target.publisher", id="follow_target"),
        pytest.param("hri_bodies", "HriBodies", "poses.subscription", id="hri_bridge"),
        pytest.param("people", "PeopleNode", "people.publisher", id="people"),
        pytest.param("wait_for_pose", "WaitForPoseServer", "skeleton.subscription", id="wait"),
    ],
)
def test_every_node_takes_overrides_and_names_what_has_no_effect(
    make, warnings, tmp_path, name, kind, override
):
    if name in FOREIGN:
        pytest.importorskip(FOREIGN[name])
    kind = getattr(import_module(f"kp_pose_ros.ros.bridges.{name}"), kind)
    spool = {"spool": str(tmp_path)} if name == "event_feed" else {}
    overrides = [f"qos_overrides./{override}.depth", "qos_overrides./pose.publisher.depth"]
    node = make(kind, use_sim_tim=True, **dict.fromkeys(overrides, 3), **spool)
    topic, entity = override.split(".")
    (made,) = (each for each in getattr(node, f"{entity}s") if each.topic_name == f"/{topic}")
    assert made.qos_profile.depth == 3
    misspelled, unused = warnings
    assert "have no effect: 'use_sim_tim' (did you mean 'use_sim_time'?)" in misspelled
    assert f"'{overrides[1]}' has no effect" in unused


def test_another_node_of_the_same_name_is_warned_of_once(make, warnings):
    """As two bridges that serve one action, whose clients get two answers."""
    first = make(Bridge, "twin")
    first.ready("tests")
    look = first._watch_twins
    look()
    make(Bridge, "twin")
    look()
    assert not warnings, "a restarted node may overlap with the old one"
    look()
    look()
    (warning,) = warnings
    assert warning.startswith("another node has this one's name, /twin: ")


def test_the_debug_log_says_when_a_bridge_listens(make, monkeypatch):
    node = make(Bridge, "listening", use_sim_time=True)
    lines = []
    monkeypatch.setattr(PrintableLogger, "debug", lambda _, text, **__: lines.append(text))
    poses = OnDemand(node, PoseArray, "poses", print, RESULTS)
    for is_wanted in (True, True, False):
        poses.want(is_wanted)
    assert lines == ["subscribes to '/poses'", "unsubscribes from '/poses'"]


def test_an_override_of_a_subscription_on_demand_is_no_mistake(make, warnings):
    names = [f"qos_overrides./poses.{each}" for each in ("subscription.depth", "publisher.depth")]
    node = make(Bridge, "asked", **dict.fromkeys(names, 3))
    poses = OnDemand(node, PoseArray, "poses", print, RESULTS)
    node.ready("tests")
    (warning,) = warnings
    assert names[1] in warning
    assert poses.want(True)
    (made,) = (each for each in node.subscriptions if each.topic_name == "/poses")
    assert made.qos_profile.depth == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(2, 2.0, id="a whole number"),
        pytest.param("2", "'limit' is '2': expected a number from 0 to 5", id="text"),
        pytest.param(6.0, "'limit' is 6.0: expected a number from 0 to 5", id="too much"),
        pytest.param([1.0], "expected a number from 0 to 5", id="a list"),
        pytest.param(None, "'limit' is []: expected a number from 0 to 5", id="an empty list"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_in_a_sentence(make, given, expected):
    node = make(Bridge, "declaring", limit=given)

    def declare():
        return node.declare("limit", 1.0, "A limit.", limits=(0, 5))

    if isinstance(expected, float):
        assert declare() == expected
    else:
        with pytest.raises(SettingsError) as refused:
            declare()
        assert expected in str(refused.value)
