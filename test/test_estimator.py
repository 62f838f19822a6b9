# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from kp_pose_ros.decode import Candidates, DecodeSettings
from kp_pose_ros.estimator import PoseEstimator
from kp_pose_ros.frame import Frame
from kp_pose_ros.letterbox import Letterbox
from kp_pose_ros.timing import StageTimes


class OnePersonEach:
    """An engine that finds one person in the middle of every frame, with a score of 0.5."""

    name = "a stand-in"
    max_batch = 4
    overlaps = True

    def __init__(self):
        self.times = StageTimes()

    def submit(self, frames):
        row = np.array([[24, 24, 40, 40, 0.5, 0, 32, 32, 0.9]], np.float32)
        found = [Candidates(row, Letterbox.fit(frame.size, (64, 64))) for frame in frames]
        return lambda: found

    def close(self):
        pass


def frame(height: int, width: int) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8))


def test_each_frame_gets_poses_in_its_own_pixels():
    estimator = PoseEstimator(OnePersonEach(), (1, 3), DecodeSettings())
    small, large = estimator.estimate([frame(64, 64), frame(640, 640)])
    assert small.keypoints[0, 0].tolist() == pytest.approx([32, 32, 0.9])
    assert large.keypoints[0, 0].tolist() == pytest.approx([320, 320, 0.9])


def test_no_frames_give_no_poses():
    assert PoseEstimator(OnePersonEach(), (1, 3), DecodeSettings()).estimate([]) == []


def test_new_settings_count_from_the_next_frame():
    estimator = PoseEstimator(OnePersonEach(), (1, 3), DecodeSettings(score_threshold=0.4))
    assert len(estimator.estimate([frame(64, 64)])[0]) == 1
    estimator.settings = DecodeSettings(score_threshold=0.6)
    assert len(estimator.estimate([frame(64, 64)])[0]) == 0


def test_a_batch_may_begin_before_the_one_before_it_has_ended():
    estimator = PoseEstimator(OnePersonEach(), (1, 3), DecodeSettings())
    first, second = estimator.submit([frame(64, 64)]), estimator.submit([frame(640, 640)] * 2)
    assert [poses.keypoints[0, 0, 0] for poses in first()] == [32]
    assert [poses.keypoints[0, 0, 0] for poses in second()] == [320, 320]


def test_decoding_is_timed():
    estimator = PoseEstimator(OnePersonEach(), (1, 3), DecodeSettings())
    estimator.estimate([frame(64, 64)])
    assert len(estimator.engine.times.seconds()["decode"]) == 1
