# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Picks out of a camera's images so many a second, by their stamps."""

from __future__ import annotations


class Pace:
    """Tells whether an image's turn has come.

    Turns are a fixed time apart, so that a camera whose images come a little late now and then
    gives the same number of them.
    """

    def __init__(self) -> None:
        self._next = 0  # when the next turn is, in nanoseconds

    def is_due(self, stamp: int, rate: float) -> bool:
        """Return whether it is the turn of an image of this stamp, in nanoseconds.

        Args:
            stamp: when the image was taken.
            rate: images a second at most; 0 makes it every image's turn.
        """
        if rate == 0:
            return True
        # No turn is more than a period ahead, unless time has jumped back.
        return not 0 < self._next - stamp <= _period(rate)

    def taken(self, stamp: int, rate: float) -> None:
        """Take note that an image of this stamp had its turn."""
        if rate > 0:
            period = _period(rate)
            on_time = 0 <= stamp - self._next < period
            self._next = (self._next if on_time else stamp) + period


def _period(rate: float) -> int:
    return round(1e9 / rate)
