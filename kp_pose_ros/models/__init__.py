# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model files: what they say of themselves, and the graph that an engine runs."""
