# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that other processes set while the node runs."""

import random

import numpy as np
import pytest
from node_process import PATIENCE
from peer import answered, image_of
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

from kp_pose_ros.ros.parameters import RULES

PICTURE = np.zeros((64, 96, 3), np.uint8)
# Values of which some are refused.
TRIED = {
    "score_threshold": [0.0, 0.3, 1.0, 1.5, -0.1],
    "iou_threshold": [0.5, 1.0, 2.0],
    "max_poses": [1, 1000, 0, 1001],
    "always_on": [True, False, "yes"],
    "annotated.color_by": ["part", "track", "mood"],
    "tracking.max_age": [0.0, 60.0, 61.0],
    "tracking.enabled": [True, False],
    "model": ["other.pt"],
}


class Client:
    """Asks the parameter services of a node."""

    def __init__(self, node, name):
        self._node = node
        kinds = {
            "set_parameters_atomically": SetParametersAtomically,
            "get_parameters": GetParameters,
            "describe_parameters": DescribeParameters,
        }
        self._clients = {
            service: node.create_client(kind, f"{name}/{service}")
            for service, kind in kinds.items()
        }
        for client in self._clients.values():
            assert client.wait_for_service(PATIENCE)
        answered(node, lambda: self.set({}))

    def close(self):
        for client in self._clients.values():
            self._node.destroy_client(client)

    def set(self, values):
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        request = SetParametersAtomically.Request(
            parameters=[each.to_parameter_msg() for each in parameters]
        )
        return self._clients["set_parameters_atomically"].call_async(request)

    def get(self, names):
        request = GetParameters.Request(names=list(names))
        return self._clients["get_parameters"].call_async(request)

    def describe(self, names):
        request = DescribeParameters.Request(names=list(names))
        return self._clients["describe_parameters"].call_async(request)


@pytest.fixture(scope="module")
def node(start_node, tiny):
    return start_node("-r", "__ns:=/set", model=tiny).wait_until_ready()


@pytest.fixture
def clients(node, ros_node):
    """Four clients of the node."""
    made = [Client(ros_node, "/set/kp_pose") for _ in range(4)]
    yield made
    for client in made:
        client.close()


def allowed(values):
    """Whether the rules allow all of these values."""
    kinds = {name: type(rule.default) for name, rule in RULES.items()}
    limits = {name: rule.limits or (float("-inf"), float("inf")) for name, rule in RULES.items()}
    return all(
        RULES[name].changeable
        and isinstance(value, kinds[name])
        and (isinstance(value, str) or limits[name][0] <= value <= limits[name][1])
        and (not RULES[name].choices or value in RULES[name].choices)
        for name, value in values.items()
    )


def values_of(answer):
    return [Parameter.from_parameter_msg(_named(each)).value for each in answer.result().values]


def _named(value):
    from rcl_interfaces.msg import Parameter as ParameterMsg

    return ParameterMsg(name="any", value=value)


def test_four_clients_at_random_get_what_the_rules_say(clients, peer):
    generator = random.Random(3)
    other = peer("set").connect()
    accepted = refused = 0
    for _ in range(50):
        names = [generator.sample(sorted(TRIED), 2) for _ in clients]
        wanted = [{name: generator.choice(TRIED[name]) for name in two} for two in names]
        answers = [client.set(each) for client, each in zip(clients, wanted, strict=True)]
        other.publisher.publish(image_of(PICTURE))
        other.spin_until(lambda answers=answers: all(each.done() for each in answers))
        for each, answer in zip(wanted, answers, strict=True):
            result = answer.result().result
            assert result.successful == allowed(each), (each, result.reason)
            assert bool(result.reason) != result.successful
            accepted, refused = accepted + result.successful, refused + (not result.successful)
    now = clients[0].get(TRIED)
    other.spin_until(now.done)
    held = dict(zip(TRIED, values_of(now), strict=True))
    assert allowed({name: value for name, value in held.items() if name != "model"})
    assert held["model"].endswith("echo.onnx")
    assert min(accepted, refused) > 30
    other.ask(image_of(PICTURE))


def test_of_several_values_either_all_change_or_none(clients, peer):
    other = peer("set")
    good = clients[0].set({"score_threshold": 0.5, "iou_threshold": 0.6})
    other.spin_until(good.done)
    half_bad = clients[0].set({"score_threshold": 0.9, "annotated.color_by": "mood"})
    other.spin_until(half_bad.done)
    assert good.result().result.successful
    assert not half_bad.result().result.successful
    assert "annotated.color_by" in half_bad.result().result.reason
    now = clients[0].get(["score_threshold", "iou_threshold"])
    other.spin_until(now.done)
    assert values_of(now) == [0.5, 0.6]


def test_every_parameter_is_described_and_says_whether_it_may_change(clients, peer):
    answer = clients[0].describe(RULES)
    peer("set").spin_until(answer.done)
    for descriptor, rule in zip(answer.result().descriptors, RULES.values(), strict=True):
        assert descriptor.description == rule.description
        assert descriptor.read_only is rule.is_fixed
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert len(ranges) == (rule.limits is not None)
        assert all(choice in descriptor.additional_constraints for choice in rule.choices)
