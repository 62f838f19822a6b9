# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run_reference():
    """Runner of a script of this folder, in the Python that has torch and ultralytics."""
    python = os.environ.get("KP_POSE_REFERENCE_PYTHON")
    if python is None:
        pytest.skip("KP_POSE_REFERENCE_PYTHON names no Python that has torch and ultralytics")

    def run(script, folder, settings):
        command = [python, Path(__file__).parent / script, folder, json.dumps(settings)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return run
