# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People in 3D, in the node: depth cameras, several cameras, transforms, coverage."""
