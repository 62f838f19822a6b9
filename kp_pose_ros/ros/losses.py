# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tells when so many of a camera's images get lost on the way that its user has to know."""

from __future__ import annotations

from kp_pose_ros.ros.health import Counts
from kp_pose_ros.ros.large_images import large_images_profile, profile_variable
from kp_pose_ros.ros.throttle import Throttle

_PERIOD = 60.0  # seconds between two warnings
_MANY = 10  # images; a few get lost while nodes find each other
_SHARE = 0.01  # of the images sent; the odd one is lost on any wireless network


class Losses:
    """Looks at the counts of one camera."""

    def __init__(self) -> None:
        self._throttle = Throttle(_PERIOD)
        self._told = Counts()

    def look(self, counts: Counts) -> str | None:
        """Return what to do about the losses since the last time; None if nothing is to be done."""
        lost = counts.lost - self._told.lost
        sent = counts.received - self._told.received + lost
        if lost < _MANY or lost < _SHARE * sent or not self._throttle.passes("lost"):
            return None
        self._told = counts.copy()
        return (
            f"{lost} of {sent} images got lost on the way here: with Fast DDS on one machine, "
            "whose shared memory is half a megabyte by default, start the camera's driver with "
            f"{profile_variable()}={large_images_profile()}; else let it publish reliably with a "
            "queue of 5, or compressed"
        )
