# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import sys

from fakes.tensorrt import make_tensorrt
from pycuda import driver

if driver.WITHOUT_TENSORRT:
    raise ImportError("it is not installed")
sys.modules[__name__] = make_tensorrt(driver.machine)
