# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

# Seconds that anything may take: so long only on a machine with ten times the work that it can do,
# and only tests that fail wait for the end of it.
PATIENCE = 120
_SIGTERM = 1 << signal.SIGTERM - 1  # in the masks of /proc/PID/status


class NodeProcess:
    """A pose_node, or another of our nodes, in a process of its own."""

    def __init__(self, log, ros_arguments, parameters, module):
        start = [module] if module.endswith(".py") else ["-m", module]
        command = [sys.executable, *start, "--ros-args"]
        for name, value in parameters.items():
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            command += ["-p", f"{name}:={text}"]
        command += ros_arguments
        self._log = log
        with log.open("w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def log(self):
        return self._log.read_text()

    def log_lines(self, phrase):
        return [line for line in self.log.splitlines() if phrase in line]

    def wait_for_log(self, phrase):
        deadline = monotonic() + PATIENCE
        while phrase not in self.log:
            assert monotonic() < deadline, f"no '{phrase}' in the log:\n{self.log}"
            assert self.process.poll() is None, f"the node ended:\n{self.log}"
            sleep(0.02)

    def wait_until_it_handles_signals(self):
        """Wait for the first line of the program: Python itself handles no SIGTERM."""
        status, deadline = Path(f"/proc/{self.process.pid}/status"), monotonic() + PATIENCE
        while not int(re.search(r"SigCgt:\s+(\w+)", status.read_text())[1], 16) & _SIGTERM:
            assert monotonic() < deadline
            sleep(0.01)

    def wait_until_ready(self):
        self.wait_for_log(" runs on ")
        return self

    def stop(self, number=signal.SIGINT):
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def wait(self):
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()
