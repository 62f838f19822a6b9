# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""On PYTHONPATH, this folder gives any program the GPU made of rules in the place of pycuda."""
