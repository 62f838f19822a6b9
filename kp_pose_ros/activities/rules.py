# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rules of a file such as `config/activities.yaml`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kp_pose_ros.activities.language import CONDITION, Scope, Term, Zone, parse, terms_of
from kp_pose_ros.errors import SettingsError, brief
from kp_pose_ros.resources import load_yaml

# Seconds. The records list a gone track for 5 s; within that time its activities must end.
MAX_GAP = 4.0
MAX_HOLD = 3600.0
MAX_RULES = 100
_MAX_CORNERS = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One activity.

    It starts when `when` has held for `hold_ms`, and ends when `when` has not held for `gap_ms`.
    The condition counts as holding from one image in which it is true to the next if they are at
    most `gap_ms` apart, even if it is false or unknown in between.

    Attributes:
        name: the activity's name.
        when: the condition.
        hold_ms: for how long it must hold, in milliseconds, more than 0.
        gap_ms: for how long it may be false or unknown, in milliseconds.
        cameras: names of the cameras that it applies to; empty: all cameras.
        is_pair: whether it is about two people, not one.
    """

    name: str
    when: Term
    hold_ms: int
    gap_ms: int
    cameras: tuple[str, ...] = ()
    is_pair: bool = False

    def missing(self, keypoint_names: Collection[str]) -> list[str]:
        """Return the names of keypoints that the rule uses and a model lacks."""
        named = {str(each.value) for each in terms_of(self.when) if each.op == "keypoint"}
        return sorted(named.difference(keypoint_names))


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Read a rules file.

    Raises:
        SettingsError: it cannot be read, or has an invalid entry; the message says where.
    """
    content = load_yaml(path, SettingsError)
    with _at(f"the rules file {path} is not valid"):
        return _rules(content)


@contextmanager
def _at(place: str) -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from error


def _rules(content: object) -> tuple[Rule, ...]:
    file = _mapping(content, {"define", "zones", "rules"})
    zones = {}
    for name, corners in _named(file, "zones").items():
        with _at(f"zone {name}"):
            zones[name] = _zone(corners)
    definitions: tuple[dict[str, Term], ...] = ({}, {})
    for name, text in _named(file, "define").items():
        with _at(f"define, {name}"):
            term = parse(text, Scope(definitions[:1], zones))
            definitions[0][name] = term
            definitions[1][name] = _about_b(term, {})
    rules = _named(file, "rules")
    if not 1 <= len(rules) <= MAX_RULES:
        raise SettingsError(f"rules: expected 1 to {MAX_RULES} rules, found {len(rules)}")
    found = []
    for name, fields in rules.items():
        with _at(f"rule {name}"):
            found.append(_rule(name, fields, definitions, zones))
    return tuple(found)


def _rule(
    name: str,
    content: object,
    definitions: tuple[Mapping[str, Term], ...],
    zones: Mapping[str, Zone],
) -> Rule:
    fields = _mapping(content, {"when", "hold", "gap", "cameras"})
    text = fields.get("when")
    is_pair = isinstance(text, str) and re.search(r"\b[ab]\.", text) is not None
    with _at("when"):
        when = parse(text, Scope(definitions, zones, is_pair))
        if when.unit != CONDITION:
            raise SettingsError(f"expected a condition, such as a comparison, found {when.unit}")
    cameras = fields.get("cameras") or []
    if not isinstance(cameras, list) or not all(isinstance(each, str) for each in cameras):
        raise SettingsError(f"cameras: expected a list of names, found {brief(cameras)}")
    return Rule(
        name,
        when,
        hold_ms=_milliseconds("hold", fields.get("hold", 0.5), 0.001, MAX_HOLD),
        gap_ms=_milliseconds("gap", fields.get("gap", 0.5), 0.0, MAX_GAP),
        cameras=tuple(cameras),
        is_pair=is_pair,
    )


def _about_b(term: Term, known: dict[Term, Term]) -> Term:
    """Return a definition for the second of two people; shared terms stay shared."""
    if term not in known:
        args = tuple(_about_b(arg, known) for arg in term.args)
        known[term] = Term(term.op, term.unit, args, term.value, person=1, size=term.size)
    return known[term]


def _mapping(value: object, keys: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"expected a mapping with {', '.join(sorted(keys))}, found {brief(value)}"
        )
    if unknown := sorted(str(key) for key in value if key not in keys):
        raise SettingsError(f"the key {unknown[0]} is unknown: expected {', '.join(sorted(keys))}")
    return value


def _named(file: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = file.get(key) or {}
    if not isinstance(value, Mapping):
        raise SettingsError(f"{key}: expected a mapping from names, found {brief(value)}")
    for name in value:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SettingsError(
                f"{key}: expected a name of letters, digits and underscores, found {brief(name)}"
            )
    return value


def _zone(corners: object) -> Zone:
    if not isinstance(corners, list) or not 3 <= len(corners) <= _MAX_CORNERS:
        raise SettingsError(f"expected 3 to {_MAX_CORNERS} corners [x, y], found {brief(corners)}")
    for corner in corners:
        if (
            not isinstance(corner, list)
            or len(corner) != 2
            or not all(type(each) in (int, float) and 0 <= each <= 1 for each in corner)
        ):
            raise SettingsError(
                f"expected corners [x, y], fractions of the image, 0 to 1, found {brief(corner)}"
            )
    return tuple((float(x), float(y)) for x, y in corners)


def _milliseconds(key: str, value: Any, low: float, high: float) -> int:
    if type(value) not in (int, float) or not low <= value <= high:
        raise SettingsError(f"{key}: expected {low:g} to {high:g} seconds, found {brief(value)}")
    return round(float(value) * 1000)
