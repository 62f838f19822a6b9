# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `kp_pose` command."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from kp_pose_ros.errors import printable_lines, run_program, show, show_exception
from kp_pose_ros.resources import own_version

_COMMANDS = ("activities", "annotate", "bag", "bench", "build", "export", "fetch", "info", "rig")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; return its exit status, 1 for an error that the user can fix."""
    _set_up_streams()
    words = sys.argv[1:] if arguments is None else arguments
    return run_program("kp_pose", lambda: _run(words))


class _LogHandler(logging.Handler):
    """Prints log records above progress bars, with text from files and servers escaped."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # not above: a signal during imports ends in a traceback

        tqdm.write(printable_lines(self.format(record)), file=sys.stderr)


def _set_up_streams() -> None:
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed, which neither argparse nor tqdm expects
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115
    sys.excepthook = show_exception
    logging.basicConfig(handlers=[_LogHandler()], level=logging.INFO, format="%(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be text in its encoding
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(words: Sequence[str]) -> int:
    parser = _parser(_load_commands(words))
    if empty := [word for word in words if re.fullmatch(r"(--[\w-]+=)?", word)]:
        parser.error(f"the argument '{empty[0]}' is empty: is a variable of the shell not set?")
    args = parser.parse_args(words)
    status: int = args.run(args)
    return status


def _load_commands(words: Sequence[str]) -> list[ModuleType]:
    """Return the command that the arguments name, or all of them for the help."""
    # Importing what the other commands need takes longer than `info` itself.
    names = [name for name in _COMMANDS if name == next(iter(words), None)] or _COMMANDS
    return [importlib.import_module(f"kp_pose_ros.commands.{name}") for name in names]


class _ShowVersion(argparse.Action):
    """Looks up the version only on request."""

    def __init__(self, option_strings: Sequence[str], dest: str, **arguments: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **arguments)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Show the version and exit."""
        show(f"kp_pose {own_version() or '(not installed)'}")
        parser.exit()


def _parser(commands: Sequence[ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kp_pose",
        description="Runs pose models on pictures, videos and bags; prepares models for the node.",
    )
    parser.add_argument("--version", action=_ShowVersion, help="show the version and exit")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands:
        command.add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
