#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Changes the core in small ways, one at a time, and counts how many changes its tests notice.

    tools/in_ros_env tools/mutate.py                              # a sample of the whole core
    tools/in_ros_env tools/mutate.py --sample 0 space/bones.py    # every mutation of one module

A mutation swaps an operator, negates a condition, or changes a number. Only the tests of the
module's own room run. mutmut, the usual tool, does not change constants outside of functions, where
much of what this core knows is.

Exits with 1 if fewer than 95 % of the mutations make a test fail.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
CORE = (
    *("poses.py", "skeleton.py", "image/frame.py"),
    *("inference/decode.py", "inference/letterbox.py", "tracking/*.py"),
    *("space/bones.py", "space/camera.py", "space/depth.py", "space/lift.py"),
    *("space/multi_camera/*.py", "ros/bridges/matching.py", "ros/bridges/openpose.py"),
)
REQUIRED = 0.95
_TIMEOUT = 120.0  # seconds; a mutated loop may never end

Change = Callable[[], None]

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
# What is not run: types, and the options of dataclasses.
_SKIPPED = {"annotation", "returns", "decorator_list"}


@dataclass(frozen=True)
class Mutation:
    """One change of one module, or none."""

    path: Path  # relative to the package
    index: int | None  # among the changes of this module

    def apply(self) -> tuple[str, str]:
        """Return the mutated source, and a line that describes the mutation."""
        original = (ROOT / "kp_pose_ros" / self.path).read_text()
        tree = ast.parse(original)
        if self.index is None:
            return original, str(self.path)
        node, change = list(_changes(tree))[self.index]
        before = ast.unparse(node)
        change()
        line = original.splitlines()[node.lineno - 1].strip()
        description = f"{self.path}:{node.lineno}: {before}  ->  {ast.unparse(node)}    in: {line}"
        return ast.unparse(ast.fix_missing_locations(tree)), description


def _changes(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, Change]]:
    """Yield every change below a node, with the expression or statement that it is in."""
    if isinstance(node, ast.expr | ast.stmt):
        yield from ((node, change) for change in _changes_of(node))
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED or _is_alias_of_a_type(node):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changes(child)


def _is_alias_of_a_type(node: ast.AST) -> bool:
    """Return whether a node is a statement such as `Color = tuple[int, int, int]`."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Subscript | ast.BinOp):
        return False
    names = {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
    return bool(names & {"tuple", "list", "dict", "Callable", "npt", "None"})


def _changes_of(node: ast.AST) -> Iterator[Change]:
    """Yield the changes that can be made to a node itself."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            yield partial(node.ops.__setitem__, place, _SWAPS[type(operator)]())
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPS:
        yield partial(setattr, node, "op", _SWAPS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp):  # applied twice, it cancels
        yield partial(setattr, node, "operand", ast.UnaryOp(node.op, node.operand))
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield partial(setattr, node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield partial(setattr, node, "value", not node.value)
        elif isinstance(node.value, int):
            yield partial(setattr, node, "value", node.value + 1)
        elif isinstance(node.value, float):
            yield partial(setattr, node, "value", node.value * 1.25 or 1.0)


def mutations(patterns: list[str]) -> list[Mutation]:
    """Return every mutation of the modules that match the patterns, relative to the package."""
    package = ROOT / "kp_pose_ros"
    paths = sorted({path for pattern in patterns for path in package.glob(pattern)})
    return [
        Mutation(path.relative_to(package), index)
        for path in paths
        for index in range(len(list(_changes(ast.parse(path.read_text())))))
    ]


def tests_of(path: Path) -> list[str]:
    """Return the tests of a module: those of its own name first, then those of its room.

    For modules at the top level, and in `ros`, where tests start nodes, only the former.
    """
    room = ROOT / "test" / path.parent
    own = room / f"test_{path.stem}.py"
    others = [] if path.parts[0] in ("ros", path.name) else sorted(room.glob("test_*.py"))
    return [str(each.relative_to(ROOT)) for each in dict.fromkeys([own, *others]) if each.exists()]


def survives(mutation: Mutation) -> str | None:
    """Return a description of the mutation if every test passes with it."""
    source, description = mutation.apply()
    with tempfile.TemporaryDirectory(prefix="mutant_") as folder:
        shutil.copytree(ROOT / "kp_pose_ros", Path(folder, "kp_pose_ros"))
        for name in ("config", "msg"):
            Path(folder, name).symlink_to(ROOT / name)
        Path(folder, "kp_pose_ros", mutation.path).write_text(source)
        # Forked, since this process has imported what is slow to import.
        context = multiprocessing.get_context("fork")
        child = context.Process(target=_run_tests, args=(folder, tests_of(mutation.path)))
        child.start()
        child.join(_TIMEOUT)
        if child.is_alive():
            child.kill()
            child.join()
        return description if child.exitcode == 0 else None


def _run_tests(folder: str, tests: list[str]) -> None:
    sys.path = [folder, *(each for each in sys.path if each not in ("", str(ROOT)))]
    options = ["-x", "-q", "-m", "not reference", "-p", "no:cacheprovider"]
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        code = pytest.main([*options, f"--rootdir={ROOT}", *tests])
    os._exit(code)


def main() -> int:
    """Mutate, test and print what survived; return the process's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("modules", nargs="*", default=CORE, help="such as tracking/*.py")
    parser.add_argument("--sample", type=int, default=200, help="how many mutations; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--jobs", type=int, default=2, help="number of mutations tested at once")
    args = parser.parse_args()
    os.chdir(ROOT)
    import cv2  # noqa: F401
    import hypothesis  # noqa: F401
    import scipy.optimize  # noqa: F401

    chosen = mutations(list(args.modules))
    if args.sample:
        chosen = random.Random(args.seed).sample(chosen, min(args.sample, len(chosen)))  # noqa: S311
    with ThreadPoolExecutor(args.jobs) as pool:
        unchanged = [Mutation(path, None) for path in sorted({each.path for each in chosen})]
        for original, passes in zip(unchanged, pool.map(survives, unchanged), strict=True):
            if not passes:
                sys.exit(f"the tests of {original.path} fail without any mutation")
        results = list(tqdm(pool.map(survives, chosen), total=len(chosen), disable=None))
    survivors = sorted(filter(None, results))
    killed = len(chosen) - len(survivors)
    print("\n".join((*survivors, f"{killed} of {len(chosen)} mutations made a test fail")))
    return 0 if killed >= REQUIRED * len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
