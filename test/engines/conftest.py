# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from kernel_on_cpu import COMPILER, KernelOnCpu


@pytest.fixture(scope="session")
def kernel_on_cpu(tmp_path_factory):
    if COMPILER is None:
        pytest.skip("there is no g++ to compile the kernel with")
    return KernelOnCpu(tmp_path_factory.mktemp("kernel"))
