# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""docs/parameters.md lists the parameters that the node declares."""

import re
import runpy
from pathlib import Path

from kp_pose_ros.ros.parameters import RULES

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "parameter_tables.py"))
PAGE = TOOL["PAGE"].read_text()


def test_the_page_is_up_to_date():
    written = TOOL["with_tables"](PAGE, RULES)
    assert written == PAGE, "run tools/in_ros_env tools/parameter_tables.py"


def test_every_parameter_has_one_row():
    assert re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE) == list(RULES)
