# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The key-value metadata of a model file, read with suspicion."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TypeGuard

from kp_pose_ros.errors import ModelError

_MAX_TEXT = 1_000_000  # LVIS's 1,203 class names take 30,000 characters
_MAX_SIDE = 16384  # pixels
_MAX_KEYPOINTS = 1000
# What ast.literal_eval raises for text that is no literal, or one made to exhaust the parser.
_NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


class Fields:
    """Typed access to the metadata that ultralytics writes into model files.

    The values of an ONNX file are texts (Python literals), those of other files have their types.
    Each getter returns None for a key that is absent, and raises ModelError naming the key, what
    was found and what was expected for a value that is wrong.
    """

    def __init__(self, values: Mapping[str, object], source: object) -> None:
        """Wrap `values`; `source` names the file in messages."""
        self._values = values
        self._source = source

    def text(self, key: str) -> str | None:
        """Return a text as it stands, such as task."""
        value = self._values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "a text")

    def flag(self, key: str) -> bool:
        """Return a truth value; False if the key is absent."""
        value = self._value(key)
        if value is None or isinstance(value, bool):
            return bool(value)
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
        """Return the names of the classes, from a list or from {0: name, 1: name, ...}."""
        value = self._value("names")
        if value is None:
            return None
        if isinstance(value, dict):
            # JSON turns the keys into texts.
            numbered = {str(key): name for key, name in value.items()}
            value = [numbered.get(str(place)) for place in range(len(numbered))]
        if isinstance(value, list | tuple) and value and all(isinstance(n, str) for n in value):
            return tuple(value)
        raise self._wrong("names", "one name for each class, such as {0: 'person'}")

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

    def keypoint_names(self, count: int) -> tuple[str, ...]:
        """Return the names of the keypoints, from a list or from {class id: list}; () for none.

        Models trained without names hold the numbers 0, 1, ... in their place: none, too.
        """
        value = self._value("kpt_names")
        if isinstance(value, dict):
            value = next(iter(value.values()), None)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) != count:
            raise self._wrong("kpt_names", f"{count} names, as kpt_shape says")
        if all(str(name).isdecimal() for name in value):
            return ()
        if all(isinstance(name, str) for name in value) and len(set(value)) == count:
            return tuple(value)
        raise self._wrong("kpt_names", f"{count} different names")

    def _value(self, key: str) -> object:
        """Return a value with its type; a text is read as a Python literal."""
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
        found = repr(self._values.get(key))
        if len(found) > 80:
            found = f"{found[:77]}..."
        return ModelError(
            f"the metadata key {key} of {self._source} is {found}: expected {expected}, so "
            "export the model again"
        )


def _is_whole(value: object, largest: int) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= largest
