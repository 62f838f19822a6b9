# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of a pose node whose skeleton has two keypoints."""

from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray, Skeleton

PAIR = Skeleton(name="pair", keypoint_names=["nose", "left_wrist"], class_names=["person"])


def poses(seconds, *track_ids, x=5.0):
    message = PoseArray(image_width=64, image_height=48, skeleton="pair")
    message.header.frame_id = "optical"
    message.header.stamp.sec = int(seconds)
    message.header.stamp.nanosec = round(seconds % 1 * 1e9)
    for track_id in track_ids:
        points = [Keypoint(x=x, y=6.0, score=0.5, state=state) for state in (1, 2)]
        message.poses.append(KeypointPose(track_id=track_id, score=0.5, keypoints=points))
    return message
