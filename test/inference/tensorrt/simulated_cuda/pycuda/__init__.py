# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With this folder on PYTHONPATH, any program imports the simulated GPU instead of pycuda."""
