# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Turns records of images into events of activities; `flink.py` does the same in SQL."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from kp_pose_ros.activities.evaluate import (
    LAGS,
    Compute,
    Points,
    Row,
    compile_point,
    compile_term,
    moving,
)
from kp_pose_ros.activities.language import terms_of
from kp_pose_ros.activities.rules import Rule
from kp_pose_ros.errors import SettingsError, brief

START, END = "START", "END"
VERSION = 1

Subject = tuple[int, ...]  # a track id, or two in increasing order
Record = Mapping[str, Any]

_SESSIONS = 8  # of a camera, remembered to recognize repeated records
_MOST_PEOPLE = 200  # the pairs of more take seconds
# The largest track id, time and number of images that Activity.msg can hold.
_LIMITS = 2**31 - 1, 2**31 * 1000 - 1, 2**32 - 1
# A subject that no record lists for so many milliseconds, or records, since stamps may stand still,
# is dropped.
_FORGET = 60_000


@dataclass(frozen=True, slots=True)
class Event:
    """The start or the end of an activity.

    Attributes:
        robot: the robot's name, as in the record.
        camera: the camera's name, as in the record.
        session: the session of the pose node, as in the record.
        activity: the rule's name.
        state: START or END.
        track_ids: one track id, or two in increasing order.
        since_ms: stamp of the first image in which the condition held.
        until_ms: stamp of the latest image in which it held.
        stamp_ms: stamp of the image that caused the event.
        images: number of images in which it held, from `since_ms` to `until_ms`.
    """

    robot: str
    camera: str
    session: str
    activity: str
    state: str
    track_ids: Subject
    since_ms: int
    until_ms: int
    stamp_ms: int
    images: int

    @property
    def is_end(self) -> bool:
        """Whether this is the end of the activity, not its start."""
        return self.state == END

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form."""
        fields = {name: getattr(self, name) for name in _FIELDS}
        return {"v": VERSION, **fields, "track_ids": list(self.track_ids)}

    @classmethod
    def from_record(cls, record: Any) -> Event:
        """Return the event of a JSON form, as this module, Flink or Spark writes it.

        Raises:
            SettingsError: the record is not an event.
        """
        try:
            event = cls(**{name: kind(record[name]) for name, kind in _FIELDS.items()})
            if event.state not in (START, END) or len(event.track_ids) not in (1, 2):
                raise ValueError("its state or track_ids")
            times = event.since_ms, event.until_ms, event.stamp_ms
            for limit, values in zip(
                _LIMITS, (event.track_ids, times, (event.images,)), strict=True
            ):
                if not all(0 <= each <= limit for each in values):
                    raise ValueError(f"a number that is not from 0 to {limit}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SettingsError(f"expected an event, found {brief(record)} ({error!r})") from error
        return event


_FIELDS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("robot", "camera", "session", "activity", "state"), str),
    "track_ids": lambda ids: tuple(map(int, ids)),
    **dict.fromkeys(("since_ms", "until_ms", "stamp_ms", "images"), int),
}


@dataclass(slots=True)
class Run:
    """The state of one rule for one subject.

    Attributes:
        since: stamp of the first image of the latest run of images in which the condition held.
        until: stamp of the last one.
        images: number of images in that run.
        is_active: whether the activity has started and not ended.
    """

    since: int
    until: int
    images: int = 1
    is_active: bool = False


@dataclass(slots=True)
class History:
    """The state of one subject.

    Attributes:
        seen: stamp and seq of its latest image.
        past: see `Row.past`.
        runs: the state of each rule, by its name.
    """

    seen: tuple[int, int] = 0, 0
    past: deque[tuple[int, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=LAGS[-1]))
    runs: dict[str, Run] = field(default_factory=dict)


@dataclass(slots=True)
class CameraState:
    """All state of one camera; plain data, which can be pickled.

    Attributes:
        newest: the highest seq of each session.
        session: the latest session's name.
        subjects: the history of each subject in that session.
        previous: the subjects in its latest record.
    """

    newest: dict[str, int] = field(default_factory=dict)
    session: str = ""
    subjects: dict[Subject, History] = field(default_factory=dict)
    previous: list[Subject] = field(default_factory=list)


class Matcher:
    """Applies rules to records, in the order of their arrival."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Compile the rules."""
        self._rules = tuple(rules)
        self._by_size = [
            _RuleSet([rule for rule in self._rules if rule.is_pair == is_pair])
            for is_pair in (False, True)
        ]

    def check(self, keypoint_names: Sequence[str]) -> Iterator[str]:
        """Yield a warning for each rule that may never hold because the model lacks a keypoint."""
        for rule in self._rules:
            if missing := rule.missing(keypoint_names):
                yield (
                    f"the rule {rule.name} may never hold: the model has no keypoint {missing[0]}, "
                    f"only {', '.join(keypoint_names)}"
                )

    def update(self, state: CameraState, record: Record) -> list[Event]:
        """Process the next record of a camera; return the events that it causes.

        A repeated record is ignored.

        Raises:
            SettingsError: the record contradicts the schema; the state is as it was.
        """
        image = _Image.read(record)
        if image.seq <= state.newest.get(image.session, -1):
            return []
        events = []
        if image.session != state.session:
            events = [*self._close(state, image)]
            state.session, state.subjects, state.previous = image.session, {}, []
        state.newest[image.session] = image.seq
        while len(state.newest) > _SESSIONS:
            del state.newest[next(iter(state.newest))]
        state.previous = []
        for size, rule_set in enumerate(self._by_size, 1):
            if rule_set.rules:
                for subject in combinations(sorted(image.people), size):
                    state.previous.append(subject)
                    history = state.subjects.setdefault(subject, History())
                    events += rule_set.update(history, image, subject)
        stamp_ms, seq = image.stamp_ms - _FORGET, image.seq - _FORGET
        subjects = state.subjects.items()
        for subject in [s for s, h in subjects if h.seen[0] < stamp_ms or h.seen[1] < seq]:
            del state.subjects[subject]
        return events

    def _close(self, state: CameraState, image: _Image) -> Iterator[Event]:
        """Yield the END events of activities that were active when another session began."""
        for subject in state.previous:
            for name, run in state.subjects[subject].runs.items():
                if run.is_active:
                    yield image.event(name, END, subject, run, state.session)


class Activities:
    """Applies the rules to any number of cameras, and keeps each camera's active activities."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Start without records."""
        self.matcher = Matcher(rules)
        self._states: dict[tuple[str, str], CameraState] = {}

    def update(self, record: Record) -> list[Event]:
        """Process the next record of its camera; see `Matcher.update`."""
        key = str(record.get("robot")), str(record.get("camera"))
        return self.matcher.update(self._states.setdefault(key, CameraState()), record)

    def active(self, robot: str, camera: str) -> dict[int, list[str]]:
        """Return the names of the active activities, by track id."""
        found: dict[int, list[str]] = {}
        state = self._states.get((robot, camera), CameraState())
        for subject, history in state.subjects.items():
            for name, run in history.runs.items():
                for track_id in subject if run.is_active else ():
                    found.setdefault(track_id, []).append(name)
        return found


@dataclass(slots=True)
class _Image:
    """One record, checked.

    `people` has the known points, in pixels and in metres, by track id; a gone track has none.
    """

    robot: str
    camera: str
    session: str
    seq: int
    stamp_ms: int
    size: tuple[float, float]
    people: dict[int, tuple[Points, Points]]

    @classmethod
    def read(cls, record: Record) -> _Image:
        """Return the image of a record.

        Raises:
            SettingsError: the record contradicts the schema.
        """
        try:
            people: dict[int, tuple[Points, Points]] = {
                int(each["track_id"]): ({}, {}) for each in record["gone"]
            }
            for each in record["poses"]:
                if each["track_id"] >= 0:
                    people[int(each["track_id"])] = (
                        _points(
                            ((name, p) for name, p in each["keypoints"].items() if p[2] > 0),
                            is_3d=False,
                        ),
                        _points(each.get("keypoints_3d", {}).items(), is_3d=True),
                    )
            if len(people) > _MOST_PEOPLE:
                raise ValueError(f"{len(people)} people, more than {_MOST_PEOPLE}")
            return cls(
                str(record["robot"]),
                str(record["camera"]),
                str(record["session"]),
                int(record["seq"]),
                int(record["stamp_ms"]),
                (float(record["width"]), float(record["height"])),
                people,
            )
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise SettingsError(
                f"a record was ignored, since it does not follow record.schema.json ({error!r})"
            ) from error

    def event(self, name: str, state: str, subject: Subject, run: Run, session: str) -> Event:
        """Return the event that this image causes."""
        who = self.robot, self.camera, session
        return Event(*who, name, state, subject, run.since, run.until, self.stamp_ms, run.images)


def _points(items: Iterable[tuple[str, Sequence[float]]], *, is_3d: bool) -> Points:
    points = {}
    for name, numbers in items:
        x, y, z = map(float, numbers)
        if not math.isfinite(x + y + z):
            raise ValueError(f"the keypoint {name} is {numbers}")
        points[name] = (x, y, z) if is_3d else (x, y)
    return points


class _RuleSet:
    """The rules about one person, or those about two."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = [(rule, compile_term(rule.when)) for rule in rules]
        self._moving: dict[str, Compute] = {}
        for term in (term for rule in rules for term in terms_of(rule.when)):
            if (key := moving(term)) is not None:
                space = "3d" if key.endswith("3d") else ""
                self._moving[key] = compile_point(term.args[0], space)

    def update(self, history: History, image: _Image, subject: Subject) -> Iterator[Event]:
        """Process a subject in an image; yield the events that it causes."""
        people = [image.people[track_id] for track_id in subject]
        row = Row(
            image.stamp_ms,
            image.size,
            tuple(each[0] for each in people),
            tuple(each[1] for each in people),
            history.past,
        )
        history.seen = image.stamp_ms, image.seq
        for rule, condition in self.rules:
            if not rule.cameras or image.camera in rule.cameras:
                before = history.runs.get(rule.name)
                run = _extend(before, rule, image.stamp_ms, condition(row) is True)
                if run is not None:
                    history.runs[rule.name] = run
                    yield from _changes(rule, before, run, image, subject)
        if self._moving:
            points = {key: point(row) for key, point in self._moving.items()}
            history.past.append((image.stamp_ms, points))


def _extend(run: Run | None, rule: Rule, stamp_ms: int, holds: bool) -> Run | None:
    """Return the latest run after an image; None if the condition has never held."""
    if run is None or (holds and stamp_ms - run.until > rule.gap_ms):
        return Run(stamp_ms, stamp_ms) if holds else None
    until = max(run.until, stamp_ms) if holds else run.until
    long_enough = until - run.since >= rule.hold_ms
    is_active = long_enough and stamp_ms - until <= rule.gap_ms
    return Run(run.since, until, run.images + holds, is_active)


def _changes(
    rule: Rule, before: Run | None, run: Run, image: _Image, subject: Subject
) -> Iterator[Event]:
    if before is not None and before.is_active and not run.is_active:
        yield image.event(rule.name, END, subject, before, image.session)
    if run.is_active and not (before is not None and before.is_active):
        yield image.event(rule.name, START, subject, run, image.session)
