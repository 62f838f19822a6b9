# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images: camera frames, image messages, JPEG, picture and video files."""
