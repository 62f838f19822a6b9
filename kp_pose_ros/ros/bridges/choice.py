# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The person that a goal of follow_target asks for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from kp_pose_ros.activities.rules import Rule
from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.following.follower import NOBODY
from kp_pose_ros.following.person import People
from kp_pose_ros.poses import Bools
from kp_pose_ros.ros.bridges.matching import check_region, in_region

_NS = 10**9
_PATIENCE, _MAX_PATIENCE = 5 * _NS, 30 * _NS


class Select(IntEnum):
    """The constants of FollowTarget.action."""

    NEAREST = 0
    ACTIVITY = 1
    TRACK = 2
    REGION = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One goal, checked; the fields are those of FollowTarget.action, durations in nanoseconds.

    Raises:
        SettingsError: a value is out of its range, or is given without the `select` that uses it.
    """

    select: int = Select.NEAREST
    activity: str = ""
    track_id: int = -1
    region: tuple[float, ...] = ()
    image_only: bool = False
    timeout: int = 0
    patience: int = 0

    def __post_init__(self) -> None:
        if self.select not in list(Select):
            choices = ", ".join(f"{each.value} ({each.name})" for each in Select)
            raise SettingsError(f"select is {self.select}: expected one of {choices}")
        select = Select(self.select)
        if (select is Select.ACTIVITY) != bool(self.activity):
            raise SettingsError(
                f"activity is {brief(self.activity)} and select is {select.name}: expected the "
                "name of a rule if select is ACTIVITY, and an empty name otherwise"
            )
        if (select is Select.TRACK) != (self.track_id >= 0):
            raise SettingsError(
                f"track_id is {self.track_id} and select is {select.name}: expected 0 or more if "
                "select is TRACK, and -1 otherwise"
            )
        if (select is Select.REGION) != bool(self.region):
            raise SettingsError(
                f"region is {brief(list(self.region))} and select is {select.name}: expected four "
                "numbers if select is REGION, and none otherwise"
            )
        check_region(self.region)
        if self.timeout < 0:
            raise SettingsError(f"timeout is {self.timeout / _NS:g} s: expected 0 or more")
        if not 0 <= self.patience <= _MAX_PATIENCE:
            raise SettingsError(
                f"patience is {self.patience / _NS:g} s: expected 0 to {_MAX_PATIENCE / _NS:g} s"
            )

    @property
    def effective_patience(self) -> int:
        """Nanoseconds for which the target may be out of sight."""
        return self.patience or _PATIENCE

    def rule(self, rules: Iterable[Rule]) -> Rule | None:
        """Return the rule of the goal's activity; None if the goal has no activity.

        Raises:
            SettingsError: there is no such rule about one person.
        """
        if not self.activity:
            return None
        by_name = {rule.name: rule for rule in rules}
        rule = by_name.get(self.activity)
        if rule is None or rule.is_pair:
            problem = "is about two people" if rule else "has no rule"
            names = ", ".join(each.name for each in by_name.values() if not each.is_pair)
            raise SettingsError(
                f"the activity {brief(self.activity)} {problem}: expected one of {names}"
            )
        return replace(rule, cameras=())  # the goal applies it to this camera anyway

    def choose(self, people: People, active: Iterable[int]) -> int:
        """Return the index of the person to follow: the nearest match, or NOBODY.

        Args:
            people: those in the image.
            active: track ids of the people for whom the goal's activity is active.
        """
        matches = self._matches(people, active)
        distances = np.hypot(people.positions[:, 0], people.positions[:, 2])
        if self.image_only:
            distances = -(people.poses.boxes[:, 3] - people.poses.boxes[:, 1]).astype(np.float64)
        distances = np.where(matches & np.isfinite(distances), distances, math.inf)
        if not len(people) or not np.isfinite(distances).any():
            return NOBODY
        return int(distances.argmin())

    def _matches(self, people: People, active: Iterable[int]) -> Bools:
        if self.select == Select.ACTIVITY:
            return np.isin(people.track_ids, list(active))
        if self.select == Select.TRACK:
            return np.equal(people.track_ids, self.track_id)
        if self.select == Select.REGION:
            return in_region(people.poses.boxes, self.region, people.size)
        return np.ones(len(people), np.bool_)
