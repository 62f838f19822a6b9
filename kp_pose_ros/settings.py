# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings: dataclass fields with a description, a range, and the check of a value.

Node parameters, their documentation and command-line arguments all come from these fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from kp_pose_ros.errors import SettingsError, brief

Value = bool | int | float | str | tuple[str, ...]
T = TypeVar("T", bound=Value)
G = TypeVar("G")

# Choices of parameters that launch files offer, too. They are here because this module imports
# little: the process of `ros2 launch` lives as long as the node.
ENGINES = ("auto", "tensorrt", "openvino", "onnx")
IMAGE_TRANSPORTS = ("raw", "compressed", "ffmpeg", "foxglove")

_CAMERA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting."""

    default: Value  # its value if it is not set; its type is the parameter's type
    description: str  # one sentence, shown by `ros2 param describe`
    limits: tuple[float, float] | None = None  # smallest and largest number allowed, or None
    choices: tuple[str, ...] = ()  # the texts allowed; empty where any is
    # whether it may change while the node works; else only while it is unconfigured
    changeable: bool = False
    is_fixed: bool = False  # whether it is read once, when the node starts

    def check(self, name: str, given: object) -> Value:
        """Return `given` in the parameter's type.

        Raises:
            SettingsError: it has another type, or is out of range; the message names `name`.
        """
        convert, expected = _TYPES[type(self.default)]
        value = convert(given)
        if value is None or not self._allows(value):
            if self.limits is not None:
                expected += " from {:g} to {:g}".format(*self.limits)
            if self.choices:
                expected = f"one of {', '.join(self.choices)}"
            raise SettingsError(f"parameter '{name}' is {brief(given)}: expected {expected}")
        return value

    def _allows(self, value: Any) -> bool:
        if self.limits is not None and not self.limits[0] <= value <= self.limits[1]:
            return False
        return not self.choices or value in self.choices


def setting(default: T, description: str, **rest: Any) -> T:
    """Return a dataclass field that is a setting; `rest` is the rest of its `Setting`."""
    value: T = field(default=default, metadata={"setting": Setting(default, description, **rest)})
    return value


def group(kind: Callable[[], G], prefix: str, *, changeable: bool = False) -> G:
    """Return a dataclass field of nested settings, whose names begin with `prefix`.

    With `changeable`, all of them may change while the node works.
    """
    metadata = {"prefix": prefix, "changeable": changeable}
    value: G = field(default_factory=kind, metadata=metadata)
    return value


def settings_of(owner: type) -> dict[str, Setting]:
    """Return the settings of a dataclass and of its groups, by full name."""
    return {name: kind for name, _, kind in _leaves(owner)}


def values_of(settings: Any) -> dict[str, Value]:
    """Return the values of a dataclass's settings and of its groups, by full name."""
    return {name: attrgetter(path)(settings) for name, path, _ in _leaves(type(settings))}


def _leaves(owner: type) -> Iterator[tuple[str, str, Setting]]:
    """Yield the full name of each setting, the path to its attribute, and what is known of it."""
    for each in fields(owner):
        if "setting" in each.metadata:
            yield each.name, each.name, each.metadata["setting"]
        elif "prefix" in each.metadata:
            for name, path, kind in _leaves(each.default_factory):  # type: ignore[arg-type]
                changeable = kind.changeable or each.metadata["changeable"]
                known = replace(kind, changeable=changeable)
                yield each.metadata["prefix"] + name, f"{each.name}.{path}", known


def build(owner: type[G], values: Mapping[str, object], prefix: str = "") -> G:
    """Return the dataclass with checked values, by full name; those left out are the defaults.

    Args:
        owner: the dataclass.
        values: the values.
        prefix: begins the full names of the dataclass's settings.

    Raises:
        SettingsError: a value has the wrong type or is out of range.
    """
    chosen: dict[str, object] = {}
    for each in fields(owner):  # type: ignore[arg-type]
        name = prefix + each.name
        if "prefix" in each.metadata:
            kind = each.default_factory
            chosen[each.name] = build(kind, values, prefix + each.metadata["prefix"])  # type: ignore[arg-type]
        elif "setting" in each.metadata and name in values:
            chosen[each.name] = each.metadata["setting"].check(name, values[name])
    return owner(**chosen)


def camera_names(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the value of the parameter `cameras`; if it is empty, one camera without a name.

    Raises:
        SettingsError: a name cannot begin the name of a topic, or comes twice.
    """
    names = given or ("",)
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(
                f"parameter 'cameras' names '{name}' more than once: expected a name of its own "
                "for each camera"
            )
        if not _CAMERA_NAME.fullmatch(name) and names != ("",):
            raise SettingsError(
                f"parameter 'cameras' has the name '{name}': expected letters, digits and "
                "underscores, no digit first, such as 'front'"
            )
    return names


def _to_integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _to_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)  # YAML reads `0` and `1` as integers


def _to_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    # YAML reads `imgsz: 640` and `imgsz: [384, 640]` as numbers.
    numbers = list(value) if isinstance(value, Iterable) else [value]
    if not numbers or any(_to_integer(number) is None for number in numbers):
        return None
    return ", ".join(map(str, numbers))


def _to_texts(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):  # from a command line: front,rear
        return tuple(text.strip() for text in value.split(","))
    if not isinstance(value, Iterable):
        return None
    texts = tuple(value)
    return texts if all(isinstance(text, str) for text in texts) else None


# By the type of the default: the conversion, which returns None for what it cannot convert, and
# the type's name in messages.
_TYPES: dict[type, tuple[Callable[[object], Value | None], str]] = {
    bool: (lambda value: value if isinstance(value, bool) else None, "true or false"),
    int: (_to_integer, "a whole number"),
    float: (_to_float, "a number"),
    str: (_to_text, "a text"),
    tuple: (_to_texts, "a list of texts"),
}
