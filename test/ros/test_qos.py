# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import rclpy
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from std_msgs.msg import Empty

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.qos import NEWEST, RESULTS, OverridableQos, image_qos

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def asked(parameter, offered):
    return image_qos(parameter, [SimpleNamespace(qos_profile=each) for each in offered])


@pytest.mark.parametrize(
    ("parameter", "offered", "wanted"),
    [
        pytest.param("auto", [], BEST_EFFORT, id="nobody publishes yet"),
        pytest.param("auto", [RELIABLE], RELIABLE, id="a reliable camera"),
        pytest.param("auto", [BEST_EFFORT], BEST_EFFORT, id="a best-effort camera"),
        pytest.param("auto", [RELIABLE, BEST_EFFORT], BEST_EFFORT, id="one of each"),
        pytest.param("auto", [LATCHED], LATCHED, id="a latched topic"),
        pytest.param("auto", [LATCHED, RELIABLE], RELIABLE, id="latched and volatile"),
        pytest.param("auto", [LATCHED, BEST_EFFORT], BEST_EFFORT, id="latched and best effort"),
        pytest.param("sensor_data", [RELIABLE], BEST_EFFORT, id="sensor_data asked for"),
        pytest.param("sensor_data", [LATCHED], BEST_EFFORT, id="sensor_data of a latched topic"),
        pytest.param("reliable", [BEST_EFFORT], RELIABLE, id="reliable asked for"),
    ],
)
def test_the_quality_of_service_asked_of_a_camera(parameter, offered, wanted):
    assert asked(parameter, offered) == wanted


@pytest.mark.parametrize(
    "offered",
    [[BEST_EFFORT], [RELIABLE], [LATCHED], [BEST_EFFORT, RELIABLE], [BEST_EFFORT, LATCHED]],
)
def test_auto_matches_every_publisher(offered):
    for each in offered:
        compatibility, reason = qos_check_compatible(each, asked("auto", offered))
        assert compatibility != QoSCompatibility.ERROR, reason


@pytest.mark.parametrize("profile", [RESULTS, NEWEST], ids=["poses", "annotated"])
@pytest.mark.parametrize("consumer", [BEST_EFFORT, RELIABLE], ids=["best effort", "reliable"])
def test_results_match_every_consumer(profile, consumer):
    compatibility, reason = qos_check_compatible(profile, consumer)
    assert compatibility != QoSCompatibility.ERROR, reason


@pytest.fixture
def overridden(ros_node):  # for its rclpy.init
    """Maker of a node that was started with these overrides."""
    nodes = []

    def make(rules=(), **given):
        parameters = [
            Parameter(f"qos_overrides.{name}", value=each) for name, each in given.items()
        ]
        words = [word for rule in rules for word in ("-r", rule)]
        nodes.append(
            OverridableQos(
                "overridden", parameter_overrides=parameters, cli_args=["--ros-args", *words]
            )
        )
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize(
    ("policy", "value", "expected"),
    [
        pytest.param("depth", 3, 3, id="depth"),
        pytest.param("history", "keep_all", HistoryPolicy.KEEP_ALL, id="history"),
        pytest.param("reliability", "best_effort", ReliabilityPolicy.BEST_EFFORT, id="reliability"),
        pytest.param(
            "durability", "transient_local", DurabilityPolicy.TRANSIENT_LOCAL, id="durability"
        ),
        pytest.param("deadline", 10**9, rclpy.duration.Duration(seconds=1), id="deadline"),
    ],
)
@pytest.mark.parametrize("entity", ["publisher", "subscription"])
def test_the_user_overrides_one_policy_of_one_topic(overridden, entity, policy, value, expected):
    node = overridden(**{f"/beat.{entity}.{policy}": value})
    made = {
        "publisher": lambda topic: node.create_publisher(Empty, topic, RESULTS),
        "subscription": lambda topic: node.create_subscription(Empty, topic, print, RESULTS),
    }
    profile = made[entity]("beat").qos_profile
    assert getattr(profile, policy) == expected
    setattr(profile, policy, getattr(RESULTS, policy))
    assert profile == RESULTS, "the other policies stay"
    assert made[entity]("other").qos_profile == RESULTS
    assert node.get_parameter(f"qos_overrides./beat.{entity}.{policy}").value == value
    assert node.unused_overrides() == []


@pytest.mark.skipif(
    not hasattr(ReliabilityPolicy, "BEST_AVAILABLE"), reason="Humble does not have it"
)
def test_an_override_may_follow_the_other_side(overridden):
    node = overridden(**{"/beat.subscription.reliability": "best_available"})
    profile = node.create_subscription(Empty, "beat", print, RESULTS).qos_profile
    assert profile.reliability == ReliabilityPolicy.BEST_AVAILABLE


def test_an_override_holds_when_a_subscription_is_made_anew_with_another_profile(overridden):
    """As `image_qos: auto` does, when a camera comes back with another QoS."""
    node = overridden(**{"/image.subscription.depth": 5})
    for profile in (BEST_EFFORT, RELIABLE):
        subscription = node.create_subscription(Empty, "image", print, profile)
        assert subscription.qos_profile.depth == 5
        assert subscription.qos_profile.reliability == profile.reliability
        node.destroy_subscription(subscription)


def test_an_override_names_the_remapped_topic(overridden):
    node = overridden(["beat:=/heart/beat"], **{"/heart/beat.publisher.depth": 2})
    assert node.create_publisher(Empty, "beat", RESULTS).qos_profile.depth == 2


@pytest.mark.parametrize(
    ("policy", "value", "says"),
    [
        pytest.param("reliability", "good", "is 'good': expected one of system_", id="word"),
        pytest.param("reliability", True, "is True: expected one of", id="a word of another type"),
        pytest.param("depth", 0, "is 0: expected a whole number from 1", id="an empty queue"),
        pytest.param("depth", "many", "is 'many': expected a whole number", id="text as a number"),
        pytest.param("deadline", -1, "is -1: expected a whole number from 0", id="negative time"),
    ],
)
def test_an_override_that_cannot_be_used_is_refused(overridden, policy, value, says):
    with pytest.raises(SettingsError) as refused:
        overridden(**{f"/beat.publisher.{policy}": value})
    assert str(refused.value).startswith(f"parameter 'qos_overrides./beat.publisher.{policy}' is ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("/beats.publisher.depth", id="another topic"),
        pytest.param("beat.publisher.depth", id="a relative name"),
        pytest.param("/beat.subscription.depth", id="not the node's side of it"),
        pytest.param("/beat.publisher.size", id="no policy"),
    ],
)
def test_an_override_without_effect_is_named(overridden, name):
    node = overridden(**{name: 7})
    assert node.create_publisher(Empty, "beat", RESULTS).qos_profile == RESULTS
    assert node.unused_overrides() == [f"qos_overrides.{name}"]


def test_misspelled_parameters_are_named_with_the_likely_ones(ros_node, monkeypatch):
    given = [Parameter(name, value="640") for name in ("imgz", "use_sim_time_", "zzz", "model")]
    node = OverridableQos("misspelled", parameter_overrides=given)
    warnings = []
    monkeypatch.setattr(node.get_logger(), "warning", warnings.append)
    node.warn_of_unknown_parameters(["imgsz", "model"])
    node.destroy_node()
    (warning,) = warnings
    expected = (
        "'imgz' (did you mean 'imgsz'?), 'use_sim_time_' (did you mean 'use_sim_time'?), 'zzz'"
    )
    assert warning.endswith(f": {expected}")
