# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import io

import cv2
import numpy as np
from kp_pose_ros.msg import Keypoint, KeypointPose, PoseArray

from kp_pose_ros.demo.folder import Folder
from kp_pose_ros.demo.report import DemoReport
from kp_pose_ros.skeleton import Skeleton, Vocabulary


def message(people, seconds):
    array = PoseArray(image_height=6, image_width=8)
    array.header.frame_id = "bus"
    array.header.stamp.sec = seconds
    array.poses = [KeypointPose(keypoints=[Keypoint()] * 17) for _ in range(people)]
    return array


def test_a_row_covers_a_second_and_the_picture_with_most_people_is_kept(tmp_path, capsys):
    vocabulary = Vocabulary(Skeleton.builtin("coco17"), ())
    report = DemoReport(Folder(tmp_path), io.StringIO(), vocabulary)
    for seconds, people in enumerate((1, 3, 2)):
        report.add_poses(message(people, seconds), 0.1)
        report.add_picture("bus", seconds * 10**9, np.full((6, 8, 3), 50 * people, np.uint8))
    (path,) = report.finish()
    assert cv2.imread(str(path)).max() == 150
    rows = [line.split()[1:4] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["bus", "1", "1"], ["bus", "1", "3"], ["bus", "1", "2"]]
