# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The expressions of rules: their syntax, and the unit of each term.

An expression uses Python's syntax, is parsed with `ast` and never executed: anything not in the
tables below is refused. It becomes a tree of terms, which `evaluate.py` computes and `flink.py`
writes as SQL. Each term has a unit, so pixels are compared with multiples of a length measured on
the person, never with a bare number.

Any value may be unknown: that of a keypoint that was not seen, and everything computed from it.
`and`, `or` and `not` treat unknown as SQL does: `unknown and false` is false, `unknown or true` is
true, all else unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kp_pose_ros.errors import SettingsError, brief

POINT, VELOCITY, CONDITION = "a point", "a velocity", "a condition"
NUMBER, PIXELS, METRES, DEGREES = "a number", "pixels", "metres", "degrees"
PIXEL_SPEED, METRE_SPEED = "pixels a second", "metres a second"

PEOPLE = ("a", "b")  # the names of the two people in a rule about pairs
MAX_TERMS = 2000
_MAX_TEXT = 2000

# Corners of a polygon: fractions of the image's width and height.
Zone = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A node of an expression's tree.

    Attributes:
        op: its kind: an operator, a function, "number", "keypoint", ".x" or ".y".
        unit: the unit of its value.
        args: the terms that it is computed from.
        value: a number's value, a keypoint's name, or a zone's corners.
        person: whose keypoint it is: 0, or 1 (`b` of a pair).
        size: the number of terms that it consists of.
    """

    op: str
    unit: str
    args: tuple[Term, ...] = ()
    value: float | str | Zone = 0.0
    person: int = 0
    size: int = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """The meaning of names in an expression, other than keypoints.

    Attributes:
        definitions: terms by name, for each of a rule's people.
        zones: polygons by name.
        is_pair: whether names are written `a.name` and `b.name`.
    """

    definitions: tuple[Mapping[str, Term], ...] = ({}, {})
    zones: Mapping[str, Zone] = field(default_factory=dict)
    is_pair: bool = False


# Function: units of its arguments, unit of its value. With "...", the last unit may repeat.
_FUNCTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "distance": ((POINT, POINT), PIXELS),
    "distance_m": ((POINT, POINT), METRES),
    "angle": ((POINT, POINT, POINT), DEGREES),
    "tilt": ((POINT, POINT), DEGREES),
    "velocity": ((POINT,), VELOCITY),
    "speed": ((POINT,), PIXEL_SPEED),
    "speed_m": ((POINT,), METRE_SPEED),
    "middle": ((POINT, POINT), POINT),
    "first_known": ((POINT, POINT, "..."), POINT),
}
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
}
_CONNECTIVES: dict[type[ast.boolop], str] = {ast.And: "and", ast.Or: "or"}
# Units that are compared with bare numbers; a number of pixels means nothing by itself.
_PLAIN = {METRES, METRE_SPEED, DEGREES}
_COORDINATES = {POINT: PIXELS, VELOCITY: PIXEL_SPEED}
_NO_ARITHMETIC = {POINT, VELOCITY, CONDITION}


class _PlacedError(Exception):
    """An error in an expression, and the node that has it."""

    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.node = node


def parse(text: object, scope: Scope) -> Term:
    """Return the tree of an expression.

    Raises:
        SettingsError: it is not valid in the language, or mixes units.
    """
    if not isinstance(text, str) or not text.strip():
        raise SettingsError(f"expected an expression, found {brief(text)}")
    if len(text) > _MAX_TEXT:
        raise SettingsError(
            f"expected an expression of at most {_MAX_TEXT} characters, found {len(text)}"
        )
    line = " ".join(text.split())
    try:
        term = _Reader(scope).read(ast.parse(line, mode="eval").body)
    except SyntaxError as error:
        raise SettingsError(
            f"not an expression: {error.msg} at character {error.offset} of '{line}'"
        ) from error
    except _PlacedError as error:
        found = ast.get_source_segment(line, error.node) or line
        place = getattr(error.node, "col_offset", 0) + 1
        raise SettingsError(f"'{found}' at character {place} of '{line}': {error}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise SettingsError(
            "the expression is nested too deeply, or contains a NUL character"
        ) from error
    return term


class _Reader:
    """Turns `ast` nodes into terms."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def read(self, node: ast.AST) -> Term:
        reader = _READERS.get(type(node))
        if reader is None:
            raise _PlacedError(
                node,
                "expected keypoints, numbers, + - * /, comparisons, and, or, not, or a function",
            )
        return reader(self, node)

    def _combine(
        self,
        node: ast.AST,
        op: str,
        unit: str,
        args: tuple[Term, ...],
        value: float | str | Zone = 0.0,
    ) -> Term:
        size = 1 + sum(arg.size for arg in args)
        if size > MAX_TERMS:
            raise _PlacedError(node, f"more than {MAX_TERMS} terms after expanding its definitions")
        return Term(op, unit, args, value, size=size)

    def _number(self, node: ast.Constant) -> Term:
        number = node.value
        if isinstance(number, bool) or not isinstance(number, int | float) or number >= 1e9:
            raise _PlacedError(node, "expected a number below 1000000000")
        return Term("number", NUMBER, value=float(number))

    def _name(self, node: ast.Name) -> Term:
        if self._scope.is_pair:
            raise _PlacedError(
                node, f"expected a.{node.id} or b.{node.id}, since the rule is about two people"
            )
        return self._named(node.id, 0)

    def _named(self, name: str, person: int) -> Term:
        keypoint = Term("keypoint", POINT, value=name, person=person)
        return self._scope.definitions[person].get(name, keypoint)

    def _attribute(self, node: ast.Attribute) -> Term:
        if self._scope.is_pair and isinstance(node.value, ast.Name) and node.value.id in PEOPLE:
            return self._named(node.attr, PEOPLE.index(node.value.id))
        term = self.read(node.value)
        if node.attr not in ("x", "y") or term.unit not in _COORDINATES:
            raise _PlacedError(
                node, f"expected .x or .y of a point or a velocity, found {term.unit}"
            )
        return self._combine(node, f".{node.attr}", _COORDINATES[term.unit], (term,))

    def _call(self, node: ast.Call) -> Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or not (name in _FUNCTIONS or name in ("abs", "inside")):
            known = ", ".join(sorted([*_FUNCTIONS, "abs", "inside"]))
            raise _PlacedError(node, f"expected one of the functions {known}, without keywords")
        if name == "inside":
            return self._inside(node)
        args = tuple(self.read(each) for each in node.args)
        if name == "abs":
            if len(args) != 1 or args[0].unit in _NO_ARITHMETIC:
                raise _PlacedError(node, "abs takes one number, length, speed or angle")
            return self._combine(node, name, args[0].unit, args)
        wanted, unit = _FUNCTIONS[name]
        if wanted[-1] == "...":
            wanted = (*wanted[:-1], *wanted[-2:-1] * (len(args) - len(wanted) + 1))
        for place, (arg, each) in enumerate(zip(args, wanted)):  # noqa: B905  # lengths below
            if arg.unit != each:
                raise _PlacedError(node.args[place], f"{name} takes {each} here, found {arg.unit}")
        if len(args) != len(wanted):
            raise _PlacedError(node, f"{name} takes {len(wanted)} points, found {len(args)}")
        return self._combine(node, name, unit, args)

    def _inside(self, node: ast.Call) -> Term:
        zone = node.args[1] if len(node.args) == 2 else node
        zones = self._scope.zones
        if not isinstance(zone, ast.Name) or zone.id not in zones:
            known = ", ".join(zones) or "none is defined"
            raise _PlacedError(zone, f"inside takes a point and the name of a zone ({known})")
        point = self.read(node.args[0])
        if point.unit != POINT:
            raise _PlacedError(node.args[0], f"inside takes a point, found {point.unit}")
        return self._combine(node, "inside", CONDITION, (point,), zones[zone.id])

    def _unary(self, node: ast.UnaryOp) -> Term:
        term = self.read(node.operand)
        if isinstance(node.op, ast.Not):
            self._expect_condition(node.operand, term)
            return self._combine(node, "not", CONDITION, (term,))
        if not isinstance(node.op, ast.USub) or term.unit in _NO_ARITHMETIC:
            raise _PlacedError(
                node, f"expected 'not' of a condition or '-' of a number, found {term.unit}"
            )
        return self._combine(node, "neg", term.unit, (term,))

    def _binary(self, node: ast.BinOp) -> Term:
        op = _ARITHMETIC.get(type(node.op))
        left, right = self.read(node.left), self.read(node.right)
        units = left.unit, right.unit
        if op is None or set(units) & _NO_ARITHMETIC:
            raise _PlacedError(
                node,
                f"expected + - * / of numbers, lengths, speeds or angles, found {units[0]} "
                f"and {units[1]}",
            )
        unit = _UNITS[op](*units)
        if unit is None:
            raise _PlacedError(node, f"{units[0]} {op} {units[1]} has a unit that is not supported")
        return self._combine(node, op, unit, (left, right))

    def _comparison(self, node: ast.Compare) -> Term:
        sides = [node.left, *node.comparators]
        terms = [self.read(each) for each in sides]
        found = []
        for place, op in enumerate(node.ops):
            left, right = terms[place : place + 2]
            name = _COMPARISONS.get(type(op))
            if name is None or {left.unit, right.unit} & _NO_ARITHMETIC:
                raise _PlacedError(
                    node,
                    f"expected <, <=, > or >= of numbers, lengths, speeds or angles, found "
                    f"{left.unit} and {right.unit}",
                )
            if _sum(left.unit, right.unit) is None and not _is_zero(left) and not _is_zero(right):
                raise _PlacedError(node, _mixed(left.unit, right.unit))
            found.append(self._combine(node, name, CONDITION, (left, right)))
        return found[0] if len(found) == 1 else self._combine(node, "and", CONDITION, tuple(found))

    def _connective(self, node: ast.BoolOp) -> Term:
        terms = tuple(self.read(each) for each in node.values)
        for each, term in zip(node.values, terms, strict=True):
            self._expect_condition(each, term)
        return self._combine(node, _CONNECTIVES[type(node.op)], CONDITION, terms)

    def _expect_condition(self, node: ast.AST, term: Term) -> None:
        if term.unit != CONDITION:
            raise _PlacedError(node, f"expected a condition, found {term.unit}")


def _is_zero(term: Term) -> bool:
    """Return whether a term is the number 0 (or -0), which is 0 in any unit."""
    return term.op == "number" and term.value == 0


def _mixed(left: str, right: str) -> str:
    pixels = " (write a length as a multiple of one that is measured, such as 0.3 * torso)"
    return f"{left} compared with {right}{pixels if PIXELS in (left, right) else ''}"


def _sum(left: str, right: str) -> str | None:
    if left == right or (right == NUMBER and left in _PLAIN):
        return left
    return right if left == NUMBER and right in _PLAIN else None


def _product(left: str, right: str) -> str | None:
    return left if right == NUMBER else right if left == NUMBER else None


# Pixels a second divided by pixels is 1 / s: a plain number, so that speeds can be compared in
# torso lengths a second.
_QUOTIENTS = {(PIXEL_SPEED, PIXELS): NUMBER, (METRE_SPEED, METRES): NUMBER}


def _quotient(left: str, right: str) -> str | None:
    return NUMBER if left == right else left if right == NUMBER else _QUOTIENTS.get((left, right))


_UNITS: dict[str, Callable[[str, str], str | None]] = {
    "+": _sum,
    "-": _sum,
    "*": _product,
    "/": _quotient,
}
# The reader for each type of node.
_READERS: dict[type[ast.AST], Callable[[_Reader, Any], Term]] = {
    ast.Constant: _Reader._number,
    ast.Name: _Reader._name,
    ast.Attribute: _Reader._attribute,
    ast.Call: _Reader._call,
    ast.UnaryOp: _Reader._unary,
    ast.BinOp: _Reader._binary,
    ast.Compare: _Reader._comparison,
    ast.BoolOp: _Reader._connective,
}


def describe(term: Term) -> str:
    """Return a point as text; equal points have equal texts."""
    if term.op == "keypoint":
        return f"{PEOPLE[term.person]}.{term.value}"
    return f"{term.op}({', '.join(map(describe, term.args))})"


def terms_of(term: Term) -> list[Term]:
    """Return a term and all of its subterms, each once."""
    found: dict[int, Term] = {}
    waiting = [term]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting.extend(each.args)
    return list(found.values())
