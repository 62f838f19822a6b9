# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports on the target: where it is, or since when it has been out of sight, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from kp_pose_ros.following.follower import NOBODY, Follower, Sight
from kp_pose_ros.following.person import People
from kp_pose_ros.poses import Array

PREDICTED_FOR = 500_000_000  # nanoseconds for which a person is assumed to walk on
_RECENT = 1_000_000_000  # nanoseconds; a possible target this recent makes a loss AMBIGUOUS
# The target is taken to have left the image if its box ends within this share of the image's width
# from an edge, or if it would cross an edge within so many seconds.
_EDGE, _AHEAD = 0.02, 0.5


class State(Enum):
    """Whether the target is known at the moment."""

    VISIBLE = "visible"
    PREDICTED = "predicted"
    LOST = "lost"


class Loss(Enum):
    """Why the target is lost for good, as a sentence."""

    LEFT_AT_LEFT = "the target left the image at its left"
    LEFT_AT_RIGHT = "the target left the image at its right"
    LEFT_AT_TOP = "the target left the image at its top"
    LEFT_AT_BOTTOM = "the target left the image at its bottom"
    HIDDEN = "the target vanished within the image: something hides it, or the model misses it"
    AMBIGUOUS = "a person in the image may be the target, but it is not certain"
    NO_DEPTH = "the target is in sight, but its distance is unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What one image says about the target.

    Attributes:
        state: VISIBLE, PREDICTED or LOST.
        index: the target's among the people in the image; NOBODY unless VISIBLE.
        position: (3,) metres, measured or predicted; None: unknown.
        last_visible: stamp of the latest image that showed the target, nanoseconds.
        loss: why the target is lost for good; None if it is not.
    """

    state: State
    index: int
    position: Array | None
    last_visible: int
    loss: Loss | None = None


class Pursuit:
    """Follows one person until they have been lost for too long."""

    def __init__(
        self, people: People, target: int, stamp: int, *, patience: int, needs_position: bool
    ) -> None:
        """Begin with an image that shows the target.

        Args:
            people: those in the image.
            target: index of the target among them.
            stamp: of the image, nanoseconds.
            patience: nanoseconds without sight of the target after which it is lost for good.
            needs_position: whether a target whose position stays unknown for that long is lost.
        """
        self._follower = Follower(people, target, stamp)
        self._patience = patience
        self._needs_position = needs_position
        self._position: Array | None = None
        self._velocity = np.zeros(3)
        self._located = self._visible = stamp
        self._ambiguous = -_RECENT
        self._edge: Loss | None = None
        self._see(people, target, stamp)

    def update(self, people: People, stamp: int) -> Report:
        """Process an image, in the order of stamps; return what it says about the target."""
        sight, index = self._follower.update(people, stamp)
        if sight is Sight.AMBIGUOUS:
            self._ambiguous = stamp
        if index != NOBODY:
            self._see(people, index, stamp)
        return self.report(index, stamp)

    def report(self, index: int, stamp: int) -> Report:
        """Return what is known at a stamp; `index` is the target's in the image, or NOBODY."""
        unseen, unlocated = stamp - self._visible, stamp - self._located
        state = State.PREDICTED if unseen <= PREDICTED_FOR else State.LOST
        if index != NOBODY:
            state = State.VISIBLE
        position = None
        if self._position is not None and unlocated <= PREDICTED_FOR:
            position = self._position + self._velocity * (unlocated * 1e-9)
        loss = None
        if unseen > self._patience:
            is_ambiguous = stamp - self._ambiguous <= _RECENT
            loss = Loss.AMBIGUOUS if is_ambiguous else self._edge or Loss.HIDDEN
        elif self._needs_position and unlocated > self._patience:
            loss = Loss.NO_DEPTH
        return Report(state, index, position, self._visible, loss)

    def _see(self, people: People, index: int, stamp: int) -> None:
        self._visible = stamp
        if np.isfinite(people.positions[index]).all():
            self._located = stamp
            self._position = people.positions[index].copy()
            self._velocity = np.nan_to_num(people.velocities[index])
        height, width = people.size
        left, _, right, _ = people.poses.boxes[index].tolist()
        x, y, vx, vy = self._follower.image_position
        x, y = x + _AHEAD * vx, y + _AHEAD * vy
        leaves = {
            Loss.LEFT_AT_LEFT: left <= _EDGE * width or x < 0,
            Loss.LEFT_AT_RIGHT: right >= (1 - _EDGE) * width or x > width,
            Loss.LEFT_AT_TOP: y < 0,
            Loss.LEFT_AT_BOTTOM: y > height,
        }
        # A person very near the camera may touch both sides.
        edges = [loss for loss, is_left in leaves.items() if is_left]
        self._edge = edges[0] if len(edges) == 1 else None
