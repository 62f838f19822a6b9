# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiles terms to Python functions that compute as SQL does on doubles; None is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kp_pose_ros.activities.language import Term, Zone, describe

Point = tuple[float, ...]
Points = Mapping[str, Point]  # known keypoints by name
Value = Any  # float, Point, bool, or None: unknown
Compute = Callable[["Row"], Value]
Past = Sequence[tuple[int, Mapping[str, Point | None]]]

# A velocity is measured relative to an earlier image of the same subject: the first of these lags,
# counted in its images, that is at least SPEED_SPAN old. For rows in order of arrival, Flink has
# no windows of event time, only LAG.
LAGS = (2, 4, 8, 16)
SPEED_SPAN, SPEED_AGE = 200, 1000  # minimum and maximum age of that image, milliseconds
_MOVING = {"velocity": "", "speed": "", "speed_m": "3d"}  # the space of each one's point


@dataclass(slots=True)
class Row:
    """The data of one subject (a person or a pair) in one image.

    Attributes:
        stamp_ms: of the image.
        size: (width, height) in pixels.
        people: known keypoints of each person in pixels; none of a person who is gone.
        people_3d: the same in metres.
        past: stamps and moving points of the subject's earlier rows, the latest last.
        memo: values already computed.
    """

    stamp_ms: int
    size: tuple[float, float]
    people: tuple[Points, ...]
    people_3d: tuple[Points, ...]
    past: Past = ()
    memo: dict[Term, Value] = field(default_factory=dict)


def moving(term: Term) -> str | None:
    """Return the key in `Row.past` of the point whose velocity a term needs, or None."""
    space = _MOVING.get(term.op)
    return None if space is None else f"{describe(term.args[0])}{space}"


def compile_term(term: Term) -> Compute:
    """Return the function that computes a term from a row."""
    return _COMPILERS[term.op](term)


def compile_point(term: Term, space: str = "") -> Compute:
    """Return the function of a point: (x, y) in pixels, or for "3d" (x, y, z) in metres."""
    if term.op == "keypoint":
        name, person = str(term.value), term.person
        if space:
            return lambda row: row.people_3d[person].get(name)
        return lambda row: row.people[person].get(name)
    first, *rest = [compile_point(arg, space) for arg in term.args]
    if term.op == "middle":
        return _known(_middle, first, *rest)

    def first_known(row: Row) -> Value:
        return next((point for each in (first, *rest) if (point := each(row)) is not None), None)

    return first_known


def _middle(p: Point, q: Point) -> Point:
    return tuple((a + b) / 2 for a, b in zip(p, q, strict=True))


def _known(function: Callable[..., Value], *args: Compute) -> Compute:
    """Return the function that applies `function` to values; unknown if one of them is."""

    def compute(row: Row) -> Value:
        values = [arg(row) for arg in args]
        return None if None in values else function(*values)

    return compute


def _remember(term: Term, compute: Compute) -> Compute:
    def remembered(row: Row) -> Value:
        if term not in row.memo:
            row.memo[term] = compute(row)
        return row.memo[term]

    return remembered


def _of_points(function: Callable[..., float], space: str = "") -> Callable[[Term], Compute]:
    def compile_it(term: Term) -> Compute:
        return _remember(term, _known(function, *(compile_point(arg, space) for arg in term.args)))

    return compile_it


def _of_values(function: Callable[..., Value]) -> Callable[[Term], Compute]:
    return lambda term: _known(function, *map(compile_term, term.args))


def _length(vector: Sequence[float]) -> float:
    square = 0.0
    for each in vector:  # not sum(), which rounds differently from Python 3.12 on
        square += each * each
    return math.sqrt(square)


def _distance(p: Point, q: Point) -> float:
    return _length([a - b for a, b in zip(p, q, strict=True)])


def _angle(p: Point, q: Point, r: Point) -> float:
    """Return the angle at q between p and r, 0 to 180 degrees."""
    px, py, rx, ry = p[0] - q[0], p[1] - q[1], r[0] - q[0], r[1] - q[1]
    return math.degrees(abs(math.atan2(px * ry - py * rx, px * rx + py * ry)))


def _tilt(p: Point, q: Point) -> float:
    """Return how far q is from being straight above p, 0 to 180 degrees."""
    return math.degrees(math.atan2(abs(q[0] - p[0]), p[1] - q[1]))


def _velocity(term: Term, space: str = "") -> Compute:
    key, now = moving(term) or "", compile_point(term.args[0], space)

    def compute(row: Row) -> Value:
        ages = (
            (row.stamp_ms - row.past[-lag][0], row.past[-lag][1].get(key))
            for lag in LAGS
            if lag <= len(row.past)
        )
        known = (each for each in ages if each[0] >= SPEED_SPAN and each[1] is not None)
        age, then = next(known, (0, None))
        point = now(row)
        if then is None or point is None or age > SPEED_AGE:
            return None
        return tuple((a - b) / (age / 1000) for a, b in zip(point, then, strict=True))

    return _remember(term, compute)


def _speed(space: str = "") -> Callable[[Term], Compute]:
    def compile_it(term: Term) -> Compute:
        return _known(_length, _velocity(term, space))

    return compile_it


def _inside(term: Term) -> Compute:
    point, zone = compile_point(term.args[0]), cast(Zone, term.value)
    edges = tuple(zip(zone, (*zone[1:], zone[0]), strict=True))

    def compute(row: Row) -> Value:
        place, (width, height) = point(row), row.size
        if place is None or not width or not height:
            return None
        x, y = place[0] / width, place[1] / height
        crossings = sum(
            x < (y - y1) * ((x2 - x1) / (y2 - y1)) + x1
            for (x1, y1), (x2, y2) in edges
            if min(y1, y2) <= y < max(y1, y2)
        )
        return crossings % 2 == 1

    return compute


def _connective(decides: bool) -> Callable[[Term], Compute]:
    """Return the compiler of `and` (one False decides) or `or` (one True decides)."""

    def compile_it(term: Term) -> Compute:
        args = [compile_term(arg) for arg in term.args]

        def compute(row: Row) -> Value:
            result: Value = not decides
            for arg in args:
                value = arg(row)
                if value is decides:
                    return decides
                if value is None:
                    result = None
            return result

        return compute

    return compile_it


def _coordinate(axis: int) -> Callable[[Term], Compute]:
    def compile_it(term: Term) -> Compute:
        (of,) = term.args
        vector = _velocity(of) if of.op == "velocity" else compile_point(of)
        return _known(lambda v: v[axis], vector)

    return compile_it


_COMPILERS: dict[str, Callable[[Term], Compute]] = {
    "number": lambda term: lambda _: term.value,
    ".x": _coordinate(0),
    ".y": _coordinate(1),
    "distance": _of_points(_distance),
    "distance_m": _of_points(_distance, "3d"),
    "angle": _of_points(_angle),
    "tilt": _of_points(_tilt),
    "speed": _speed(),
    "speed_m": _speed("3d"),
    "inside": _inside,
    "abs": _of_values(abs),
    "neg": _of_values(lambda a: -a),
    "+": _of_values(lambda a, b: a + b),
    "-": _of_values(lambda a, b: a - b),
    "*": _of_values(lambda a, b: a * b),
    "/": _of_values(lambda a, b: a / b if b else None),
    "<": _of_values(lambda a, b: a < b),
    "<=": _of_values(lambda a, b: a <= b),
    ">": _of_values(lambda a, b: a > b),
    ">=": _of_values(lambda a, b: a >= b),
    "not": _of_values(lambda a: not a),
    "and": _connective(decides=False),
    "or": _connective(decides=True),
}
