# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service: what to request from cameras, and what to offer to subscribers."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

# Reliable, because that matches subscribers of both kinds.
RESULTS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10)
NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1)
LATCHED = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL
)

_FIXED = {"sensor_data": ReliabilityPolicy.BEST_EFFORT, "reliable": ReliabilityPolicy.RELIABLE}


def wanted_reliability(image_qos: str, offered: Iterable[ReliabilityPolicy]) -> ReliabilityPolicy:
    """Return the reliability for an image subscription.

    Args:
        image_qos: the parameter of that name.
        offered: what the topic's publishers offer now.

    Returns:
        With `auto`, reliable if there are publishers and all of them are: then nothing gets lost on
        the way. Otherwise best effort, which matches every publisher.
    """
    if image_qos in _FIXED:
        return _FIXED[image_qos]
    offers = set(offered)
    if offers == {ReliabilityPolicy.RELIABLE}:
        return ReliabilityPolicy.RELIABLE
    return ReliabilityPolicy.BEST_EFFORT


def image_qos(reliability: ReliabilityPolicy) -> QoSProfile:
    """Return the profile of an image subscription: a queue of one, since older frames are stale."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)
