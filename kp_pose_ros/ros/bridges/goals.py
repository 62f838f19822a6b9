# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Action servers, as the bridges set them up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from rclpy.action.server import ActionServer, CancelResponse, ServerGoalHandle
from rclpy.qos import QoSProfile

from kp_pose_ros.ros.bridges.bridge import Bridge

# Requests that may wait for the server: of a burst of goals, the default depth would keep 10.
_REQUESTS = QoSProfile(depth=200)

Handle: TypeAlias = "ServerGoalHandle[Any, Any, Any]"


def serve_goals(
    node: Bridge,
    action_type: type[Any],
    name: str,
    execute: Callable[[Handle], Awaitable[Any]],
    on_cancel: Callable[[Handle], CancelResponse],
) -> ActionServer[Any, Any, Any]:
    """Serve an action whose goals end by what arrives on `poses`; log that it is ready.

    Args:
        node: the node that serves.
        action_type: the action's type.
        name: the action's name.
        execute: works on a goal; returns its result.
        on_cancel: called when a client asks to cancel a goal.
    """
    server: ActionServer[Any, Any, Any] = ActionServer(
        node,
        action_type,
        name,
        execute_callback=execute,
        cancel_callback=on_cancel,
        goal_service_qos_profile=_REQUESTS,
        result_service_qos_profile=_REQUESTS,
        cancel_service_qos_profile=_REQUESTS,
    )
    node.ready(
        f"serves the action '{node.resolve_service_name(name)}' from "
        f"'{node.resolve_topic_name('poses')}'"
    )
    return server
