# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes terms as SQL over the columns of `flink.py`'s views, computing as `evaluate.py` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from kp_pose_ros.activities.evaluate import moving
from kp_pose_ros.activities.language import PEOPLE, POINT, Term, Zone, describe, terms_of

AXES = {"": ("x", "y"), "3d": ("x", "y", "z")}  # by space: pixels, metres


def quoted(value: str) -> str:
    """Return a text literal."""
    return "'" + value.replace("'", "''") + "'"


def double(value: float) -> str:
    """Return a literal of type DOUBLE; without an exponent it would be a DECIMAL."""
    text = repr(value)
    return f"({text})" if "e" in text else f"({text}E0)"


class Columns:
    """The columns that the rules of one kind need, and the SQL of their terms.

    The columns of a keypoint are named like `a_nose_x` and `a_nose_y`, those of other points like
    `p0_x`, and those of velocities like `v0_x`.

    Attributes:
        keypoints: person, name and space of each keypoint.
        points: by column, the SQL of each coordinate of points derived from keypoints.
        moving: by a velocity's column, the column that it is the velocity of.
    """

    def __init__(self, conditions: Iterable[Term]) -> None:
        self.keypoints: dict[tuple[str, str, str], None] = {}
        self.points: dict[str, str] = {}
        self.moving: dict[str, str] = {}
        self._bases: dict[str, str] = {}  # of a point's columns, by its description and space
        for term in (term for condition in conditions for term in terms_of(condition)):
            space = "3d" if term.op in ("distance_m", "speed_m") else ""
            for arg in term.args if term.unit != POINT else ():
                if arg.unit == POINT:
                    self._add(arg, space)
            if moving(term) is not None:
                number = len({name.rpartition("_")[0] for name in self.moving.values()})
                names = self._axes(term.args[0], space)
                if names[0] not in self.moving.values():
                    for axis, name in zip(AXES[space], names, strict=True):
                        self.moving[f"v{number}{space}_{axis}"] = name

    def _add(self, point: Term, space: str) -> None:
        for each in terms_of(point):
            if each.op == "keypoint":
                self.keypoints[PEOPLE[each.person], str(each.value), space] = None
        key = describe(point) + space
        if point.op != "keypoint" and key not in self._bases:
            base = self._bases[key] = f"p{len(self._bases)}{space}"
            for axis, sql in zip(AXES[space], _expanded(point, space), strict=True):
                self.points[f"{base}_{axis}"] = sql

    def _axes(self, point: Term, space: str = "") -> tuple[str, ...]:
        if point.op == "keypoint":
            return _expanded(point, space)
        base = self._bases[describe(point) + space]
        return tuple(f"{base}_{axis}" for axis in AXES[space])

    def _velocity(self, term: Term) -> tuple[str, ...]:
        space = "3d" if term.op == "speed_m" else ""
        by_point = {name: velocity for velocity, name in self.moving.items()}
        return tuple(by_point[name] for name in self._axes(term.args[0], space))

    def sql(self, term: Term) -> str:
        """Return the SQL of a term that is neither a point nor a velocity."""
        writer = _WRITERS.get(term.op, Columns._infix)
        return writer(self, term)

    def _infix(self, term: Term) -> str:
        return f"({f' {term.op.upper()} '.join(map(self.sql, term.args))})"

    def _number(self, term: Term) -> str:
        return double(cast(float, term.value))

    def _prefix(self, term: Term) -> str:
        names = {"neg": "-", "not": "NOT ", "abs": "ABS"}
        return f"({names[term.op]}({self.sql(term.args[0])}))"

    def _divide(self, term: Term) -> str:
        over, under = map(self.sql, term.args)
        return f"({over} / NULLIF({under}, 0E0))"

    def _coordinate(self, term: Term) -> str:
        (of,) = term.args
        vector = self._velocity(of) if of.op == "velocity" else self._axes(of)
        return vector["xy".index(term.op[1])]

    def _speed(self, term: Term) -> str:
        return _length(self._velocity(term))

    def _distance(self, term: Term) -> str:
        space = "3d" if term.op == "distance_m" else ""
        p, q = (self._axes(arg, space) for arg in term.args)
        return _length([f"({a} - {b})" for a, b in zip(p, q, strict=True)])

    def _angle(self, term: Term) -> str:
        p, q, r = map(self._axes, term.args)
        px, py, rx, ry = (f"({a} - {b})" for end in (p, r) for a, b in zip(end, q, strict=True))
        cross, dot = f"{px} * {ry} - {py} * {rx}", f"{px} * {rx} + {py} * {ry}"
        return f"DEGREES(ABS(ATAN2({cross}, {dot})))"

    def _tilt(self, term: Term) -> str:
        (px, py), (qx, qy) = map(self._axes, term.args)
        return f"DEGREES(ATAN2(ABS({qx} - {px}), {py} - {qy}))"

    def _inside(self, term: Term) -> str:
        zone = cast(Zone, term.value)
        x, y = (
            f"({axis} / NULLIF({side}, 0E0))"
            for axis, side in zip(self._axes(term.args[0]), ("width", "height"), strict=True)
        )
        crossings = []
        for (x1, y1), (x2, y2) in zip(zone, (*zone[1:], zone[0]), strict=True):
            if y1 != y2:
                slope = double((x2 - x1) / (y2 - y1))
                left = f"{x} < ({y} - {double(y1)}) * {slope} + {double(x1)}"
                between = f"{y} >= {double(min(y1, y2))} AND {y} < {double(max(y1, y2))}"
                crossings.append(f"CASE WHEN {between} AND {left} THEN 1 ELSE 0 END")
        odd = f"MOD({' + '.join(crossings) or '0'}, 2) = 1"
        return f"CASE WHEN {x} IS NOT NULL AND {y} IS NOT NULL THEN {odd} END"


_WRITERS: dict[str, Callable[[Columns, Term], str]] = {
    "number": Columns._number,
    "neg": Columns._prefix,
    "not": Columns._prefix,
    "abs": Columns._prefix,
    "/": Columns._divide,
    ".x": Columns._coordinate,
    ".y": Columns._coordinate,
    "distance": Columns._distance,
    "distance_m": Columns._distance,
    "speed": Columns._speed,
    "speed_m": Columns._speed,
    "angle": Columns._angle,
    "tilt": Columns._tilt,
    "inside": Columns._inside,
}


def _expanded(point: Term, space: str) -> tuple[str, ...]:
    """Return the SQL of a point's coordinates, from the columns of keypoints."""
    if point.op == "keypoint":
        person = PEOPLE[point.person]
        return tuple(f"{person}_{point.value}{space}_{axis}" for axis in AXES[space])
    points = [_expanded(arg, space) for arg in point.args]
    if point.op == "middle":
        return tuple(f"(({p} + {q}) / 2E0)" for p, q in zip(*points, strict=True))
    return tuple(f"COALESCE({', '.join(axis)})" for axis in zip(*points, strict=True))


def _length(vector: Sequence[str]) -> str:
    return f"SQRT({' + '.join(f'{each} * {each}' for each in vector)})"
