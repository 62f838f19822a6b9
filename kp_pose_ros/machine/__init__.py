# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The machine that the node runs on: what it is, what it tells of itself, how it is used."""
