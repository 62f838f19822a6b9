# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Following one person among others: Poses with track ids -> which of them is the target."""
