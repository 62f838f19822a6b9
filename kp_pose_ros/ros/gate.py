# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Leaves images in the middleware until there is use for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup


class Gate(CallbackGroup):
    """A callback group whose callbacks run only while a condition holds.

    The middleware's queue of one keeps the newest image. To take every one of a fast camera's out
    of it, only to throw most of them away, costs more than a small network does. Whoever opens the
    gate wakes the executor.
    """

    def __init__(self, is_open: Callable[[], bool]) -> None:
        super().__init__()
        self.is_open = is_open

    def can_execute(self, entity: Any) -> bool:
        """Return whether the executor may take from the entity."""
        return self.is_open()

    def beginning_execution(self, entity: Any) -> bool:
        """Return whether what was found ready may be taken after all."""
        return self.is_open()

    def ending_execution(self, entity: Any) -> None:
        """Nothing is held while a callback runs."""
