# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Activities: rules over the keypoints of tracked people, and the events that they yield."""
