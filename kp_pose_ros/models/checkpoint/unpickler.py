# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reads a pickle without importing, calling or constructing anything that it names.

`pickletools` knows the opcodes and reads their arguments; a table defines what each does to a stack
of plain values. Python's own unpickler is not used: even with every class replaced by a stub it
sizes its memo by an index from the file, and hashes any object that the file uses as a key.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.families import CHECKPOINTS


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that the pickle names: only its name, never the object."""

    name: str


@dataclass(eq=False, slots=True)
class Record:
    """An object that the pickle describes: the name of its class or factory, and its attributes."""

    kind: str
    state: Any


# Two strings that are in the pickle once can be joined to a name any number of times.
_MAX_NAME = 120

Rebuilders = Mapping[str, Callable[..., Any]]


class Unpickler:
    """Reads one pickle of protocol 2 to 5 into lists, tuples, dicts, numbers, strings and Records.

    A set becomes a list.

    Args:
        is_allowed: returns whether the pickle may name this class or function.
        rebuilders: substitutes for functions that the pickle calls, by dotted name. A call of
            any other allowed name becomes a Record.
        load_persistent: turns a persistent id into a value.
    """

    def __init__(
        self,
        is_allowed: Callable[[str], bool],
        rebuilders: Rebuilders,
        load_persistent: Callable[[Any], Any],
    ) -> None:
        self._is_allowed = is_allowed
        self._rebuilders = rebuilders
        self._persistent_value = load_persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self, stream: BinaryIO) -> Any:
        """Return the object that the pickle at the position of `stream` describes.

        Afterwards the position is right behind the pickle.

        Raises:
            ModelError: if the pickle names what is not allowed, uses an opcode that torch does not
                write, or is inconsistent.
        """
        name = "START"
        try:
            while name != "STOP":
                name, read, act = _BY_CODE[stream.read(1)]
                if act is None:
                    raise ModelError(f"its pickle uses {name}, which torch does not write")
                act(self, None if read is None else read(stream))
            return self._stack.pop()
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"its pickle is damaged at or after a {name}") from error

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_text(self, text: str) -> None:
        if not text.isascii():
            text.encode()  # a lone surrogate raises here, not later in a message or in a model
        self._stack.append(text)

    def _push_integer(self, number: int) -> None:
        if not -(1 << 63) <= number < 1 << 63:
            raise ValueError(number)  # as a key, larger ones can be made to collide
        self._stack.append(number)

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _name_global_from_stack(self, _: Any) -> None:
        module, name = self._pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError(type(name))
        self._push_global(f"{module}.{name}")

    def _call(self, _: Any) -> None:
        """REDUCE and NEWOBJ: a function or class, and the arguments that it would get."""
        function, arguments = self._pop(2)
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise TypeError(type(function))
        rebuild = self._rebuilders.get(function.name)
        self._stack.append(Record(function.name, {}) if rebuild is None else rebuild(*arguments))

    def _call_with_names(self, _: Any) -> None:
        """NEWOBJ_EX: as NEWOBJ, with arguments by name."""
        (names,) = self._pop(1)
        if not isinstance(names, dict):
            raise TypeError(type(names))
        self._call(None)

    def _build(self, _: Any) -> None:
        (state,) = self._pop(1)
        # For a dict or a tensor these would be attributes that are never used.
        if isinstance(self._stack[-1], Record):
            self._stack[-1].state = state

    def _load_persistent(self, _: Any) -> None:
        (identifier,) = self._pop(1)
        self._stack.append(self._persistent_value(identifier))

    def _push_global(self, name: str) -> None:
        is_name = len(name) <= _MAX_NAME and name.replace(".", "_").isidentifier()
        if not is_name or not self._is_allowed(name):
            advice = next(
                (text for package, text in CHECKPOINTS.items() if name.startswith(package)),
                "nothing was executed; if you trust the file, export it to ONNX with ultralytics",
            )
            raise ModelError(
                f"its pickle names {name[:_MAX_NAME]!r}, which does not belong in a YOLO "
                f"checkpoint; {advice}"
            )
        self._stack.append(Global(name))

    def _pop(self, count: int) -> list[Any]:
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise IndexError(count)
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _pop_marked(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError(type(target))
        target.extend(values)

    def _update(self, keys_and_values: list[Any]) -> None:
        target, keys = self._stack[-1], keys_and_values[0::2]
        # Hashing a tuple recurses as deep as the file nests it, so only plain keys are taken.
        if not isinstance(target, dict) or not all(type(key) in _KEY_TYPES for key in keys):
            raise TypeError(type(target))
        target.update(zip(keys, keys_and_values[1::2], strict=True))


_KEY_TYPES = {str, int, float, bool, type(None)}

# What each opcode does to the unpickler, given its argument.
_OPCODES: dict[str, Callable[[Unpickler, Any], None]] = {
    "PROTO": lambda this, _: None,
    "FRAME": lambda this, _: None,
    "STOP": lambda this, _: None,
    "NONE": Unpickler._push,
    "NEWTRUE": lambda this, _: this._push(True),
    "NEWFALSE": lambda this, _: this._push(False),
    "BININT": Unpickler._push,
    "BININT1": Unpickler._push,
    "BININT2": Unpickler._push,
    "LONG1": Unpickler._push_integer,
    "BINFLOAT": Unpickler._push,
    "SHORT_BINBYTES": Unpickler._push,
    "BINBYTES": Unpickler._push,
    "BINUNICODE": Unpickler._push_text,
    "SHORT_BINUNICODE": Unpickler._push_text,
    "BINUNICODE8": Unpickler._push_text,
    "EMPTY_TUPLE": lambda this, _: this._push(()),
    "EMPTY_LIST": lambda this, _: this._push([]),
    "EMPTY_SET": lambda this, _: this._push([]),
    "EMPTY_DICT": lambda this, _: this._push({}),
    "MARK": Unpickler._mark,
    "TUPLE1": lambda this, _: this._push(tuple(this._pop(1))),
    "TUPLE2": lambda this, _: this._push(tuple(this._pop(2))),
    "TUPLE3": lambda this, _: this._push(tuple(this._pop(3))),
    "TUPLE": lambda this, _: this._push(tuple(this._pop_marked())),
    "FROZENSET": lambda this, _: this._push(tuple(this._pop_marked())),
    "APPEND": lambda this, _: this._extend(this._pop(1)),
    "APPENDS": lambda this, _: this._extend(this._pop_marked()),
    "ADDITEMS": lambda this, _: this._extend(this._pop_marked()),
    "SETITEM": lambda this, _: this._update(this._pop(2)),
    "SETITEMS": lambda this, _: this._update(this._pop_marked()),
    "BINPUT": Unpickler._put,
    "LONG_BINPUT": Unpickler._put,
    "MEMOIZE": lambda this, _: this._put(len(this._memo)),
    "BINGET": lambda this, index: this._push(this._memo[index]),
    "LONG_BINGET": lambda this, index: this._push(this._memo[index]),
    "GLOBAL": lambda this, name: this._push_global(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": Unpickler._name_global_from_stack,
    "REDUCE": Unpickler._call,
    "NEWOBJ": Unpickler._call,
    "NEWOBJ_EX": Unpickler._call_with_names,
    "BUILD": Unpickler._build,
    "BINPERSID": Unpickler._load_persistent,
}
# By its byte: an opcode's name, what reads its argument, and what it does. `pickletools.genops`
# takes twice as long.
_BY_CODE = {
    opcode.code.encode("latin-1"): (
        opcode.name,
        None if opcode.arg is None else opcode.arg.reader,
        _OPCODES.get(opcode.name),
    )
    for opcode in pickletools.opcodes
}
