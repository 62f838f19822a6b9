# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From pixels to metres: camera models, viewing rays, depth images."""
