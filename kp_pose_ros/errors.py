# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The package's errors, and how programs show them and untrusted text.

Names, encodings, metadata and paths come from files and other machines. They may hold control
characters that rewrite a terminal or forge a log line, and they may be megabytes long. Every error
message is made printable and bounded when the error is created.
"""

from __future__ import annotations

import os
import reprlib
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

INTERRUPTED = 130  # the exit code that a shell reports for Ctrl-C
_LONGEST_MESSAGE = 2000  # characters
_LONGEST_VALUE = 200


def printable(text: object, limit: int = _LONGEST_MESSAGE, keep: str = "") -> str:
    """Return `str(text)` as one line that is safe to print and to encode as UTF-8.

    Args:
        text: anything, usually text that came from a file, a message or the network.
        limit: the longest result in characters; the rest is replaced with "...".
        keep: characters that are not escaped although they are not printable, such as "\\n".
    """
    cut = str(text)[: limit + 1]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() or c in keep else _escape(c) for c in cut)
    return cut if len(cut) <= limit else f"{cut[: limit - 3]}..."


def printable_lines(text: object) -> str:
    """Return a text of any length and several lines, all but the first of them indented.

    So untrusted text cannot forge a line in a log.
    """
    return printable(text, sys.maxsize, keep="\n\t").replace("\n", "\n  ")


def show(*lines: object, file: TextIO | None = None) -> None:
    """Print lines, with untrusted text made printable; all output goes this way."""
    text = "\n".join(printable(line, sys.maxsize) for line in lines)
    print(text, file=file, flush=True)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 frame" and "2 frames"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def run_program(name: str, run: Callable[[], int]) -> int:
    """Run a program; return its exit code, 1 for an error that the user can fix.

    Errors of this package and of the operating system, such as a full disk, are printed without a
    traceback. A reader that has gone, such as `head`, ends the program silently.

    Args:
        name: the program's, for messages.
        run: returns the exit code.
    """
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()  # here, where exceptions are still caught
    except (Exception, KeyboardInterrupt) as error:
        if _is_interruption(error):
            show(f"{name}: interrupted", file=sys.stderr)
            return INTERRUPTED
        if not isinstance(error, KpPoseError | OSError):
            raise
        if not isinstance(error, BrokenPipeError):
            show(f"{name}: {error}", file=sys.stderr)
        if isinstance(error, GpuLostError):
            # Nothing on a lost GPU can be freed, and libraries may abort or hang when they try.
            os._exit(1)
        if isinstance(error, OSError):  # at exit Python flushes the rest again, and would fail, too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _is_interruption(error: BaseException | None) -> bool:
    """Return whether an error is Ctrl-C, or arose while Ctrl-C ended what was in progress."""
    while not isinstance(error, KeyboardInterrupt | None):
        error = error.__context__
    return error is not None


def show_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Stand in for `sys.excepthook`: print a traceback whose message is printable."""
    text = "".join(traceback.format_exception(kind, error, trace))
    show(*text.splitlines(), file=sys.stderr)


def brief(value: object) -> str:
    """Return a printable `repr(value)` of at most 200 characters, whatever the value is.

    The work is bounded, too: large containers and integers are not formatted in full.
    """
    return printable(_REPR.repr(value), _LONGEST_VALUE)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class _BoundedRepr(reprlib.Repr):
    """reprlib, which formats integers and bytes in full before it shortens them."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = _LONGEST_VALUE
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        is_short = x.bit_length() <= 128  # Python refuses to format more than 4300 digits
        return repr(x) if is_short else f"an integer of {x.bit_length()} bits"

    def repr_bytes(self, x: bytes, level: int) -> str:
        return self.repr_str(x[: self.maxstring], level)  # type: ignore[arg-type]

    repr_bytearray = repr_bytes


_REPR = _BoundedRepr()


class KpPoseError(Exception):
    """Base class of all errors that are shown to the user as a message, without a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class SettingsError(KpPoseError):
    """A parameter or an argument has a value that cannot be used."""


class ModelError(KpPoseError):
    """A model file cannot be read, is not a pose model, or does not match its skeleton."""


class EngineError(KpPoseError):
    """An engine cannot be opened or built, or failed while it ran."""


class GpuLostError(EngineError):
    """The GPU failed in a way that this process cannot recover from: it has to be started again.

    The CUDA driver returns the same error to every later call ("the process must be terminated and
    relaunched", says cuda.h). So does the engine: each later call raises this error again, and its
    `close` leaves everything on the GPU alone.
    """


class FrameError(KpPoseError):
    """A camera frame is inconsistent or has an encoding that cannot be read."""


class BagError(KpPoseError):
    """A bag cannot be read or written."""


class CalibrationError(KpPoseError):
    """The calibration or the pose of a camera is missing or invalid."""
