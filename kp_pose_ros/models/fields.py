# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The key-value metadata of a model file, which is not trusted."""

from __future__ import annotations

import ast
import logging
from collections.abc import Mapping
from typing import TypeGuard

from kp_pose_ros.errors import ModelError, brief

_log = logging.getLogger(__name__)
_MAX_TEXT = 1_000_000  # LVIS's 1,203 class names take 30,000 characters
_MAX_SIDE = 16384  # pixels
_MAX_KEYPOINTS = 1000
# Raised by ast.literal_eval for text that is not a literal, or that exhausts the parser.
_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class Fields:
    """Typed access to the metadata that ultralytics writes into model files.

    The values of an ONNX file are strings (Python literals), those of other files are typed.
    Each getter returns None for a key that is absent, and raises ModelError naming the key, what
    was found and what was expected for a value that is wrong.
    """

    def __init__(self, values: Mapping[str, object], source: object) -> None:
        """Wrap `values`; `source` names the file in messages."""
        self._values = values
        self._source = source

    def text(self, key: str) -> str | None:
        """Return a string, such as task."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "a string")

    def flag(self, key: str) -> bool | None:
        """Return a boolean."""
        value = self._value(key)
        if value is None or isinstance(value, bool):
            return value
        raise self._wrong(key, "True or False")

    def argument(self, name: str) -> object:
        """Return one of the arguments the model was exported with, whatever its type."""
        arguments = self._value("args")
        if arguments is None:
            return None
        if not isinstance(arguments, dict):
            raise self._wrong("args", "a mapping of export arguments")
        return arguments.get(name)

    def whole_number(self, key: str, largest: int) -> int | None:
        """Return a number from 1 to `largest`."""
        value = self._value(key)
        if value is None:
            return None
        if _is_whole(value, largest):
            return value
        raise self._wrong(key, f"a whole number from 1 to {largest}")

    def size(self, key: str) -> tuple[int, int] | None:
        """Return (height, width) in pixels; a single number means both."""
        value = self._value(key)
        if value is None:
            return None
        sides = value if isinstance(value, list | tuple) else [value]
        if len(sides) in (1, 2):
            height, width = sides[0], sides[-1]
            if _is_whole(height, _MAX_SIDE) and _is_whole(width, _MAX_SIDE):
                return height, width
        raise self._wrong(key, f"height and width, from 1 to {_MAX_SIDE} pixels")

    def class_names(self) -> tuple[str, ...] | None:
        """Return the names of the classes, from a list or from {0: name, 1: name, ...}.

        They are only labels: if they cannot be used, this warns and returns None.
        """
        value = self._label("names")
        if isinstance(value, dict):
            # JSON turns the keys into strings.
            numbered = {str(key): name for key, name in value.items()}
            value = [numbered.get(str(place)) for place in range(len(numbered))]
        if isinstance(value, list | tuple) and value and all(map(_is_label, value)):
            return tuple(map(str, value))
        if value is not None:
            self._warn("names", "does not name each class")
        return None

    def kpt_shape(self) -> tuple[int, int] | None:
        """Return (K, D): K keypoints of D numbers."""
        value = self._value("kpt_shape")
        if value is None:
            return None
        if isinstance(value, list | tuple) and len(value) == 2:
            count, numbers = value
            if _is_whole(count, _MAX_KEYPOINTS) and numbers in (2, 3):
                return count, int(numbers)
        raise self._wrong("kpt_shape", "[K, 2] or [K, 3] for K keypoints, such as [17, 3]")

    def keypoint_names(self, count: int, classes: int) -> tuple[str, ...]:
        """Return the names of the keypoints, from a list or from {class id: list}; () for none.

        They are only labels: if they cannot be used, or do not apply to every class, this warns and
        returns (). Models trained without names have the numbers 0, 1, ... instead.
        """
        value = self._label("kpt_names")
        if isinstance(value, dict):
            lists = list(value.values())
            if lists and (len(lists) < classes or any(each != lists[0] for each in lists)):
                self._warn("kpt_names", "has no names that apply to every class")
                return ()
            value = lists[0] if lists else None
        if value is None:
            return ()
        if isinstance(value, list | tuple) and len(value) == count:
            if all(str(name).isdecimal() for name in value):
                return ()
            if all(map(_is_label, value)) and len(set(map(str, value))) == count:
                return tuple(map(str, value))
        self._warn("kpt_names", f"does not hold {count} different names")
        return ()

    def _label(self, key: str) -> object:
        """Return a value as `_value` does; None, with a warning, if it cannot be read."""
        try:
            return self._value(key)
        except ModelError:
            self._warn(key, "cannot be read")
            return None

    def _warn(self, key: str, problem: str) -> None:
        _log.warning("the metadata key %s of %s %s: ignored", key, self._source, problem)

    def _value(self, key: str) -> object:
        """Return a value with its type; a string is parsed as a Python literal."""
        value = self._values.get(key)
        if not isinstance(value, str):
            return value
        try:
            if len(value) > _MAX_TEXT:
                raise ValueError(f"{len(value)} characters")
            return ast.literal_eval(value)
        except _NO_LITERAL as error:
            raise self._wrong(key, "a Python literal") from error

    def _wrong(self, key: str, expected: str) -> ModelError:
        found = brief(self._values.get(key))
        return ModelError(
            f"the metadata key {key} of {self._source} is {found}: expected {expected}, so export "
            "the model again"
        )


def _is_whole(value: object, largest: int) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= largest


def _is_label(value: object) -> bool:
    return isinstance(value, str | int) and str(value).isprintable() and bool(str(value).strip())
