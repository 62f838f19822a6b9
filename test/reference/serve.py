# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

# What libraries print, from their import on, goes to stderr: stdout has the answers only.
_ANSWERS = os.fdopen(os.dup(sys.stdout.fileno()), "w")
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def serve(make: Callable[[Path, dict], None]) -> None:
    """Make what each line of stdin asks for, [folder, settings]; answer each with a line.

    The answer is the traceback of an error, or null. Import this module before those that print.
    """
    for line in sys.stdin:
        folder, settings = json.loads(line)
        error = None
        try:
            make(Path(folder), settings)
        except Exception:
            error = traceback.format_exc()
        print(json.dumps(error), file=_ANSWERS, flush=True)
