# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "measure_people.py"


def test_the_costs_of_people_are_a_table_with_a_row_for_each_number():
    done = subprocess.run(
        [sys.executable, TOOL, "0", "3"], capture_output=True, text=True, timeout=120, check=True
    )
    head, _, *rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    assert head == ["people", "decode", "track", "encode", "publish", "total"]
    assert [row[0] for row in rows] == ["0", "3"]
    assert all(float(cost) >= 0 for row in rows for cost in row)
