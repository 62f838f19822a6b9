#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/parameters.md from the parameters that the node declares.

    tools/in_ros_env tools/parameter_tables.py

A test fails if the page is out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from kp_pose_ros.ros.parameters import RULES
from kp_pose_ros.settings import Setting

PAGE = Path(__file__).parents[1] / "docs" / "parameters.md"
_BEGIN = "<!-- tables: tools/parameter_tables.py writes them -->\n"
_END = "<!-- end of tables -->"
_HEAD = "| parameter | default | range | can be set | |\n|---|---|---|---|---|\n"


def with_tables(page: str, rules: Mapping[str, Setting]) -> str:
    """Return the text of the page with its tables made from `rules`."""
    return re.sub(
        f"{_BEGIN}.*{_END}",
        lambda _: f"{_BEGIN}{_tables(rules)}\n{_END}",
        page,
        flags=re.DOTALL,
    )


def _tables(rules: Mapping[str, Setting]) -> str:
    """Return a table of the parameters without a group, then one with a heading for each group."""
    text = ""
    for group, names in groupby(rules, lambda name: name.rpartition(".")[0]):
        heading = f"\n## `{group}.*`\n" if group else ""
        text += f"{heading}\n{_HEAD}" + "".join(_row(name, rules[name]) for name in names)
    return text


def _row(name: str, rule: Setting) -> str:
    default = rule.default
    if isinstance(default, bool):
        shown = str(default).lower()
    elif isinstance(default, tuple):
        shown = json.dumps(default)
    else:
        shown = str(default) or '""'
    allowed = ", ".join(f"`{choice}`" for choice in rule.choices)
    if rule.limits is not None:
        allowed = "{:g} to {:g}".format(*rule.limits)
    when = "at the start" if rule.is_fixed else "unconfigured"
    if rule.changeable:
        when = "always"
    return f"| `{name}` | `{shown}` | {allowed} | {when} | {rule.description} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(), RULES))
