# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import sys
from pathlib import Path

from fakes.cuda import make_driver, make_library
from fakes.machine import BrokenRuleError, Machine
from kernel_on_cpu import KernelOnCpu

from kp_pose_ros.inference.tensorrt import driver_api

# What stands in for TensorRT then runs its networks on the CPU at once, and is never captured.
WITHOUT_TENSORRT = "WITHOUT_TENSORRT" in os.environ


class Eager(Machine):
    """Runs at once what is on the first stream, that of the uploads; loses itself."""

    def enqueue(self, stream, run, *holds):
        super().enqueue(stream, run, *holds)
        if WITHOUT_TENSORRT or stream is min(self.streams(), key=lambda each: each.number):
            stream.run_all()

    def find(self, address, size, kinds):
        try:
            return super().find(address, size, kinds)
        except BrokenRuleError as error:
            self.lost = sys.modules[__name__].LaunchError(str(error))
            raise self.lost from error


kernels = KernelOnCpu(Path(os.environ["KERNELS"]))
machine = Eager(kernels.run, captures=not WITHOUT_TENSORRT)
sys.modules[__name__] = make_driver(machine)
sys.modules[__name__].machine = machine
sys.modules[__name__].WITHOUT_TENSORRT = WITHOUT_TENSORRT
driver_api.load_driver = lambda: make_library(machine)
