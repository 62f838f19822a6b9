# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which person is the target, from image to image, and how certain that is.

All people in sight are remembered, not only the target: by their expected position, the colours of
their clothes and their track_id. The people in each image are assigned to the remembered ones so
that the sum of the evidence is largest. A person counts as the target only if every other
explanation, such as a person in similar clothes who steps out from behind a pillar, is clearly less
likely. Otherwise the image does not show the target.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from scipy.optimize import linear_sum_assignment

from kp_pose_ros.following.kinematics import RANGE, SIZE, Filter, X, Y
from kp_pose_ros.following.person import GATE, MOMENT, People, Person
from kp_pose_ros.poses import Array, Indices, Ints

NOBODY = -1

_CERTAIN = 3.0  # log likelihood ratio by which the best explanation must exceed every other one
_CLEARLY = 1.0  # by which it must exceed that of any other person who has vanished since
_PROBABLY = 6.0  # evidence from which on a new track counts even if it is soon interrupted

# Seconds.
_REPLACES = 0.4  # a person must fit this long to be recognized as the target
# A target that was visible for less is not found again: its velocity, and who is near, are unknown.
_ACQUAINTED = 0.7
_ARRIVAL = 0.5  # the start of a new track, when its position shows if the target has come back
_TRUST_AGAIN = 0.5  # until ids are trusted again after two people came near each other
_RECENT = 2.0  # people out of sight for less than this may still be near
_REMEMBERED = 60.0  # how long people out of sight are remembered
_MAX_PEOPLE = 30
_TYPICAL = 0.75  # quantile of how well a new track's positions fit: the best may fit by chance
_WITNESSES = 3  # if this many people shift alike, the camera is turning
# Two people are near each other, so that the tracker may swap their ids, if their bodies are closer
# than this in the image, in torso lengths, and about equally far from the camera.
_NEAR = 1.2
_NEAR_RANGE = 0.25  # difference of the logarithms of the distances


class Sight(Enum):
    """What an image shows of the target."""

    VISIBLE = "visible"
    AMBIGUOUS = "ambiguous"  # a person may be the target
    ABSENT = "absent"


@dataclass(slots=True, eq=False)
class Newcomer:
    """A track that began while the target was out of sight.

    Attributes:
        since: stamp of its first image.
        fits: how well its positions fitted the target when it began.
        rival: the largest evidence that it is another remembered person.
    """

    since: int
    filter: Filter
    fits: list[float] = field(default_factory=list)
    rival: float = 0.0


@dataclass(slots=True)
class Claim:
    """The evidence that a track is the target while the target is out of sight.

    Attributes:
        evidence: the largest so far; 0 while another person explains the track better.
        seen: stamp of its latest image.
        beside: tracks that were in an image together with it, and so are other people.
    """

    evidence: float = 0.0
    seen: int = 0
    beside: set[int] = field(default_factory=set)


class Follower:
    """Follows one person; call `update` with every image, in the order of their stamps."""

    def __init__(self, people: People, target: int, stamp: int) -> None:
        """Begin with an image that shows the target.

        Args:
            people: those in the image.
            target: index of the target among them.
            stamp: of the image, nanoseconds.
        """
        self._stamp = stamp
        self._visible = 0.0  # seconds
        self._others = [
            Person.first_seen(people, index) for index in range(len(people)) if index != target
        ]
        self._target = Person.first_seen(people, target)
        # By track that may be the target: since when, and the latest image in which it fitted.
        self._candidates: dict[int, tuple[int, int]] = {}
        self._claims: dict[int, Claim] = {}  # by track, while the target is out of sight
        self._newcomers: dict[int, Newcomer] = {}  # by track
        # Tracks that were probably the target, but vanished before they were recognized.
        self._glimpses: list[Filter] = []

    @property
    def image_position(self) -> tuple[float, float, float, float]:
        """The target's expected x and y in the image, pixels, and its velocity, pixels / s."""
        mean = self._target.filter.mean
        return float(mean[0, X]), float(mean[0, Y]), float(mean[1, X]), float(mean[1, Y])

    def update(self, people: People, stamp: int) -> tuple[Sight, int]:
        """Process an image; return what it shows of the target, and its index or NOBODY."""
        before, self._stamp = self._stamp, max(stamp, self._stamp)  # it may be late
        seconds = (self._stamp - before) * 1e-9
        persons = [self._target, *self._others]
        for each in self._filters(persons):
            each.predict(seconds)
        for track_id, newcomer in self._newcomers.items():
            if MOMENT < newcomer.filter.unseen <= MOMENT + seconds:
                self._note_glimpse(track_id, newcomer)
        if not len(people):
            return Sight.ABSENT, NOBODY
        self._shift(persons, people)
        self._distrust(persons, people, seconds)
        evidence = np.array(
            [self._target.evidence(people, self._judge_newcomers(people))]
            + [person.evidence(people) for person in self._others]
        )
        columns = [
            NOBODY if column != NOBODY and not person.fits(people, column, row[column]) else column
            for person, column, row in zip(persons, _certain(evidence), evidence, strict=True)
        ]
        index = columns[0]
        # By detection, how well another remembered person explains it.
        rivals = evidence[1:].max(axis=0, initial=0)
        self._note_rivals(people, evidence, columns)
        self._claim(people.track_ids, self._evidence_of_claims(people, evidence, rivals))
        if index == NOBODY or not self._is_recognized(people, columns, evidence[0, index]):
            columns[0] = NOBODY
        self._learn(persons, people, columns)
        if columns[0] != NOBODY:
            self._remember(people, columns)
            self._visible += seconds
            return Sight.VISIBLE, index
        may_be = (evidence[0] > 0) & (evidence[0] > rivals - _CERTAIN)
        return Sight.AMBIGUOUS if may_be.any() else Sight.ABSENT, NOBODY

    def _filters(self, persons: list[Person]) -> list[Filter]:
        """Return the filters of all people."""
        newcomers = (each.filter for each in self._newcomers.values())
        return [*(each.filter for each in persons), *newcomers, *self._glimpses]

    def _note_glimpse(self, track_id: int, newcomer: Newcomer) -> None:
        """Note a new track that ends here, if it probably was the target."""
        claim = self._claims.get(track_id)
        if claim is not None and claim.evidence >= _PROBABLY:
            self._glimpses.append(deepcopy(newcomer.filter))

    def _shift(self, persons: list[Person], people: People) -> None:
        """Undo the shift that all people have in common: the camera's rotation."""
        by_id = {person.track_id: person for person in persons}
        pairs = [
            (by_id[track_id], row)
            for track_id, row in zip(people.track_ids.tolist(), people.coordinates, strict=True)
            if track_id in by_id and by_id[track_id].filter.unseen <= MOMENT
        ]
        if len(pairs) >= _WITNESSES:
            axes = [X, Y]
            shift = np.median(
                [row[axes] - person.filter.mean[0, axes] for person, row in pairs], axis=0
            )
            for each in self._filters(persons):
                each.mean[0, axes] += shift

    def _distrust(self, persons: list[Person], people: People, seconds: float) -> None:
        """Lower the trust in the ids of people who came near each other; let it recover."""
        means = np.array([person.filter.mean[0] for person in persons])
        unit = np.array([person.filter.unit for person in persons])
        recent = np.array([person.filter.unseen < _RECENT for person in persons])
        apart = np.hypot(*(means[:, None, (X, Y)] - means[:, (X, Y)]).transpose(2, 0, 1))
        near = apart < _NEAR * np.minimum(unit[:, None], unit)
        for person, is_near in zip(self._others, (near[0] & recent)[1:].tolist(), strict=True):
            person.is_mixed |= is_near
        by_range = np.abs(means[:, None, RANGE] - means[:, RANGE])
        by_size = np.abs(means[:, None, SIZE] - means[:, SIZE])
        deep = np.where(np.isfinite(by_range), by_range, by_size)
        near &= ~(deep > _NEAR_RANGE) & recent[:, None] & recent
        np.fill_diagonal(near, False)
        self._find_jumps(persons, people)
        for person, is_near in zip(persons, near.any(axis=1).tolist(), strict=True):
            hidden = person.filter.unseen > MOMENT
            if is_near or hidden or person.has_jumped:
                person.trust = 0.0
            elif person.filter.unseen <= seconds:
                person.trust = min(1.0, person.trust + seconds / _TRUST_AGAIN)

    def _find_jumps(self, persons: list[Person], people: People) -> None:
        """Note whose track continues where that person cannot be: it is another person's now."""
        rows = dict(zip(people.track_ids.tolist(), people.coordinates, strict=True))
        for person in persons:
            row = rows.get(person.track_id)
            if row is not None and person.filter.squared_distance(row) > GATE:
                person.has_jumped = True

    def _judge_newcomers(self, people: People) -> Array:
        """Return how well people's positions fit the target; for new tracks, how well at first.

        The longer the target is out of sight, the more positions are possible: anyone who walks
        about would fit sooner or later. After a glimpse of the target, they must fit there, too.
        """
        filters = [self._target.filter, *self._glimpses]
        fits: Array = np.min(
            [each.evidence(people.coordinates, people.size) for each in filters], axis=0
        )
        known = {each.track_id for each in self._others}
        if self._target.filter.unseen <= MOMENT and not self._target.has_jumped:
            known.add(self._target.track_id)
        rows = zip(people.track_ids.tolist(), people.coordinates, strict=True)
        for index, (track_id, row) in enumerate(rows):
            if track_id not in known:
                newcomer = self._newcomers.get(track_id)
                if newcomer is not None and newcomer.filter.squared_distance(row) > GATE:
                    self._note_glimpse(track_id, newcomer)
                    newcomer = None
                if newcomer is None:
                    newcomer = Newcomer(self._stamp, people.filter_of(index))
                    self._newcomers[track_id] = newcomer
                    self._claims.pop(track_id, None)
                    self._candidates.pop(track_id, None)
                else:
                    newcomer.filter.correct(row)
                if (self._stamp - newcomer.since) * 1e-9 <= _ARRIVAL:
                    newcomer.fits.append(float(fits[index]))
                fits[index] = np.quantile(newcomer.fits, _TYPICAL)
        return fits

    def _is_recognized(self, people: People, columns: list[int], evidence: float) -> bool:
        """Return whether a detection that is likely the target can already be accepted as such.

        Unless it plainly continues a track, it has to stay likely for a while. A track that was
        another person's, seen beside the target, is still theirs unless they are seen elsewhere.
        """
        index = columns[0]
        track_id, stamp = int(people.track_ids[index]), self._stamp
        if self._target.is_continued(people, index):
            return True
        if self._visible < _ACQUAINTED:
            return False
        others = zip(self._others, columns[1:], strict=True)
        if track_id in {each.track_id for each, column in others if column == NOBODY}:
            return False
        newcomer = self._newcomers.get(track_id)
        if newcomer is not None and evidence < newcomer.rival + _CERTAIN:
            return False
        if evidence < self._rival_claim(track_id) + _CLEARLY:
            return False
        since, latest = self._candidates.get(track_id, (stamp, stamp))
        if (stamp - latest) * 1e-9 > MOMENT:
            since = stamp
        self._candidates[track_id] = since, stamp
        return (stamp - since) * 1e-9 >= _REPLACES

    def _note_rivals(self, people: People, evidence: Array, columns: list[int]) -> None:
        """Note how well newcomers fit the other people, as far as these are not seen elsewhere."""
        for index, track_id in enumerate(people.track_ids.tolist()):
            if (newcomer := self._newcomers.get(track_id)) is not None:
                rows = [row for row, column in enumerate(columns) if column in (NOBODY, index)]
                rival = evidence[[row for row in rows if row], index].max(initial=0)
                newcomer.rival = max(newcomer.rival, float(rival))

    def _claim(self, track_ids: Ints, evidence: Array) -> None:
        """Note who may be the target, by (n,) evidence, and who was beside them.

        A track that was out of sight in between may now be another person's.
        """
        present = set(track_ids.tolist())
        for track_id, each in zip(track_ids.tolist(), evidence.tolist(), strict=True):
            claim = self._claims.get(track_id)
            if claim is None or (self._stamp - claim.seen) * 1e-9 > MOMENT:
                claim = self._claims[track_id] = Claim()
                for other in self._claims.values():
                    other.beside.discard(track_id)
            claim.evidence, claim.seen = max(claim.evidence, each), self._stamp
            claim.beside |= present

    def _evidence_of_claims(self, people: People, evidence: Array, rivals: Array) -> Array:
        """Return the evidence that detections are the target, (n,); 0 for those of other people.

        Another remembered person explains a detection at least as well. This does not count if they
        wear the same clothes and came near each other, because then the ids may be swapped.
        """
        unmixed = [not person.is_mixed for person in self._others]
        alike = self._target.clothes(people) > 0
        rivals = np.where(alike, evidence[1:][unmixed].max(axis=0, initial=0), rivals)
        return np.where(evidence[0] > rivals, evidence[0], 0)

    def _rival_claim(self, track_id: int) -> float:
        """Return the evidence that another track, seen beside this one, is the target."""
        claims = [
            claim.evidence
            for other, claim in self._claims.items()
            if other != track_id and track_id in claim.beside
        ]
        return max(claims, default=-math.inf)

    def _learn(self, persons: list[Person], people: People, columns: list[int]) -> None:
        """Update the known people with their detections."""
        for person, column in zip(persons, columns, strict=True):
            if column != NOBODY:
                is_same = person.track_id == people.track_ids[column]
                person.track_id, person.has_jumped = int(people.track_ids[column]), False
                person.filter.correct(people.coordinates[column])
                if is_same and person.trust >= 1:
                    person.views.learn(people.histograms[column])

    def _remember(self, people: People, columns: list[int]) -> None:
        """Remember new people seen beside the target; forget those gone for long.

        While the target is out of sight, nobody is added: a new person may be the target.
        """
        self._newcomers.clear()
        self._glimpses.clear()
        self._candidates.clear()
        self._claims.clear()
        for each in self._others:
            each.is_mixed = False
        recent = {each.track_id for each in self._others if each.filter.unseen < _REPLACES}
        for index, track_id in enumerate(people.track_ids.tolist()):
            if index not in columns and track_id not in recent:
                self._others.append(Person.first_seen(people, index))
        self._others.sort(key=lambda person: person.filter.unseen)
        self._others = [
            person for person in self._others[:_MAX_PEOPLE] if person.filter.unseen < _REMEMBERED
        ]


def _certain(evidence: Array) -> list[int]:
    """Return the detection of each person; NOBODY where it is not certain.

    It is certain if the best assignment has clearly more evidence, in sum, than the best one that
    gives the person another detection, or none.

    Args:
        evidence: (persons, detections); pairs whose evidence is not positive are never assigned.
    """
    worth = np.maximum(evidence, 0)
    rows, columns, best = _assign(worth)
    found = [NOBODY] * len(evidence)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        pair = worth[row, column]
        if pair >= _CERTAIN:
            worth[row, column] = 0
            if best - _assign(worth)[2] >= _CERTAIN:
                found[row] = column
            worth[row, column] = pair
    return found


def _assign(worth: Array) -> tuple[Indices, Indices, float]:
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return rows, columns, float(worth[rows, columns].sum())
