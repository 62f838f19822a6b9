# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters on a node: declared, described, and changed while it runs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from kp_pose_ros.errors import SettingsError
from kp_pose_ros.ros.compat import declared_names, overrides
from kp_pose_ros.ros.parameters import RULES, Parameters
from kp_pose_ros.settings import Setting, Value


def declare_parameters(node: Node) -> Parameters:
    """Declare all parameters on `node` and return the values that it was started with.

    Raises:
        SettingsError: one of them cannot be used.
    """
    # rclpy refuses `score_threshold: 1`, an integer, in words of its own: take what was given,
    # whatever its type, check it by our rules, and declare its final value and type then.
    given: dict[str, object] = {}
    for name, rule in RULES.items():
        anything = ParameterDescriptor(dynamic_typing=True)
        value = node.declare_parameter(name, _to_ros(rule.default), anything).value
        given[name] = [] if value is None else value  # `[]` has no type of its own in ROS
        node.undeclare_parameter(name)
    _warn_of_unknown_names(node)
    parameters = Parameters.from_values(given)
    for name, value in parameters.values().items():
        descriptor = _descriptor(RULES[name])
        node.declare_parameter(name, _to_ros(value), descriptor, ignore_override=True)
    return parameters


def follow_changes(node: Node, parameters: Parameters, apply: Callable[[Parameters], None]) -> None:
    """Call `apply` with the new parameters whenever somebody changes some of them on `node`.

    A change that contradicts a rule is refused with the rule's sentence, and nothing changes.
    """

    def change(changes: Sequence[Parameter[Any]]) -> SetParametersResult:
        nonlocal parameters
        changed = {each.name: each.value for each in changes if each.name in RULES}
        try:
            parameters = Parameters.from_values({**parameters.values(), **changed})
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=str(error))
        apply(parameters)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(change)


def _warn_of_unknown_names(node: Node) -> None:
    """Say which given parameters are none of ours: misspelled, most likely.

    No error, because a file for several nodes may hold theirs under `/**`.
    """
    known = {*RULES, *declared_names(node)}
    for name in overrides(node):
        if name not in known and not name.startswith("qos_overrides."):
            similar = difflib.get_close_matches(name, RULES, n=1)
            hint = f": did you mean '{similar[0]}'?" if similar else ""
            node.get_logger().warning(f"parameter '{name}' is unknown and has no effect{hint}")


def _to_ros(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _descriptor(rule: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=rule.description, read_only=not rule.changeable)
    if rule.choices:
        descriptor.additional_constraints = f"one of {', '.join(rule.choices)}"
    if rule.limits is not None:
        low, high = rule.limits
        if isinstance(rule.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return descriptor
