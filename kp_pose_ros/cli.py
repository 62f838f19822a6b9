# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `kp_pose` command."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from kp_pose_ros.errors import GpuLostError, KpPoseError, printable_lines, show, show_exception
from kp_pose_ros.resources import own_version

_COMMANDS = ("activities", "annotate", "bag", "bench", "build", "export", "fetch", "info", "rig")
_INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command; return its exit status, 1 for an error that the user can fix."""
    _print_safely()
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:  # here, where exceptions are still caught
                sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # the reader, such as `head`, has exited
            show(f"kp_pose: {error}", file=sys.stderr)
        # At exit Python flushes the rest again, which would fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _PrintableFormatter(logging.Formatter):
    """Escapes text from files and servers in log records."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


def _print_safely() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    sys.excepthook = show_exception
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be text in its encoding
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    args = _parser(_load_commands(arguments)).parse_args(arguments)
    try:
        status: int = args.run(args)
    except KpPoseError as error:
        show(f"kp_pose: {error}", file=sys.stderr)
        if isinstance(error, GpuLostError):
            # Nothing on a lost GPU can be freed, and libraries may abort or hang when they try.
            os._exit(1)
        return 1
    except KeyboardInterrupt:
        show("kp_pose: interrupted", file=sys.stderr)
        return _INTERRUPTED
    return status


def _load_commands(arguments: Sequence[str]) -> list[ModuleType]:
    """Return the command that the arguments name, or all of them for the help."""
    # Importing what the other commands need takes longer than `info` itself.
    names = [name for name in _COMMANDS if name == next(iter(arguments), None)] or _COMMANDS
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
