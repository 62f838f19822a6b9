# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of tools/prove_gpu, and what runs each of them in a process of its own."""
