# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs one step in a process of its own, which may hang, crash or lose the GPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from .results import NETWORKS, Case, Result, Step

STAND_IN = "TensorRT itself: not proven"


def run_in_a_process(name: str, command: Sequence[str], seconds: float) -> Iterator[Result]:
    """Yield the results of a step that a command runs.

    Args:
        name: the step's name.
        command: the command, to which `--results FILE` is appended.
        seconds: time limit; then it is killed, with all that it has started, and counts as failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        results, log = Path(folder) / "results", Path(folder) / "log"
        results.touch()
        with log.open("w") as output:
            process = subprocess.Popen(
                [*command, "--results", str(results)],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            problem = _end_of(process, seconds)
        found = [Result(**json.loads(line)) for line in results.read_text().splitlines()]
        yield from found
        if problem or not found:
            reason = f"{problem or 'no result'}: {last_line(log.read_text(errors='replace'))}"
            yield Result(name, "FAIL", note=reason)


def _end_of(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Wait for the end of a process, or kill its group; return what went wrong."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"killed after {seconds:.0f} s"
    return f"ended with {code}" if code else ""


def last_line(text: str) -> str:
    """Return the last line of what a process printed, as a cell of the table."""
    lines = text.strip().splitlines()
    return lines[-1].replace("|", "/")[:200] if lines else "it printed nothing"


def report(name: str, step: Step, case: Case, results: Path, *, stand_in: bool) -> None:
    """Run a step in this process; append each result to a file at once, a line of JSON each."""
    note = f"{STAND_IN}; " if stand_in and step.needs == NETWORKS else ""
    with results.open("a") as output:
        for result in _guarded(name, step, case):
            result.note = f"{note}{result.note}"
            output.write(json.dumps(asdict(result)) + "\n")
            output.flush()


def _guarded(name: str, step: Step, case: Case) -> Iterator[Result]:
    try:
        yield from step.run(case)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split()).replace("|", "/")
        yield Result(name, "FAIL", note=text)
