# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Says the same thing once in a while instead of at every frame."""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic


class Throttle:
    """Tells when a thing may be said again. rclpy's own throttle is one for all cameras."""

    def __init__(self, period: float) -> None:
        """Make a throttle that passes each key at most once in `period` seconds."""
        self._period = period
        self._last: dict[Hashable, float] = {}

    def passes(self, key: Hashable) -> bool:
        """Return whether `key` has not passed within the period; if so, it has now."""
        now = monotonic()
        if now - self._last.get(key, -self._period) < self._period:
            return False
        self._last[key] = now
        return True
