# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run_reference(tmp_path_factory):
    """Runner of a script of this folder, in the Python that has torch and ultralytics.

    Each script is one process for all its tests: to import torch takes longer than what they ask.
    """
    python = os.environ.get("KP_POSE_REFERENCE_PYTHON")
    if python is None:
        pytest.skip("KP_POSE_REFERENCE_PYTHON names no Python that has torch and ultralytics")
    processes = {}
    log = tmp_path_factory.mktemp("reference") / "log"
    with ExitStack() as stack:
        stderr = stack.enter_context(log.open("w"))

        def start(script):
            command = [python, Path(__file__).parent / script]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
            return stack.enter_context(subprocess.Popen(command, text=True, **pipes))

        def run(script, folder, settings):
            if script not in processes:
                processes[script] = start(script)
            process = processes[script]
            print(json.dumps([str(folder), settings]), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, f"{script} has ended:\n{log.read_text()}"
            assert json.loads(answer) is None, json.loads(answer)

        yield run
