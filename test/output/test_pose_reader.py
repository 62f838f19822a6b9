# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The poses of serialized messages; test/ros/test_messages.py compares with rclpy's bytes."""

import numpy as np
import pytest

from kp_pose_ros.errors import FrameError
from kp_pose_ros.image.cdr import Header
from kp_pose_ros.output import cdr
from kp_pose_ros.output.pose_reader import read_pose_array
from kp_pose_ros.poses import Poses
from kp_pose_ros.skeleton import Skeleton, Vocabulary

VOCABULARY = Vocabulary(Skeleton.generic(3), ("person",))
HEADER = Header(-12 * 10**9 + 34, "camera")


def message(count, keypoints_3d=None):
    values = np.arange(count * 9, dtype=np.float32).reshape(count, 3, 3)
    poses = Poses(
        boxes=np.arange(count * 4, dtype=np.float32).reshape(count, 4),
        scores=np.full(count, 0.5, np.float32),
        keypoints=values,
        states=np.arange(count * 3, dtype=np.uint8).reshape(count, 3) % 3,
    )
    content = cdr.pose_array(HEADER, (480, 640), poses, VOCABULARY, keypoints_3d)
    return poses, np.frombuffer(content, np.uint8)


def test_nobody_is_read():
    _, content = message(0)
    read = read_pose_array(content)
    assert (read.header, read.size, read.skeleton) == (HEADER, (480, 640), VOCABULARY.skeleton.name)
    assert (len(read.poses), read.keypoints_3d) == (0, None)


def test_positions_that_are_not_valid_are_unknown():
    expected = np.arange(18.0).reshape(2, 3, 3)
    expected[1, 2] = np.nan
    _, content = message(2, expected)
    np.testing.assert_array_equal(read_pose_array(content).keypoints_3d, expected)


def test_a_message_that_is_cut_short_is_refused_at_any_length():
    _, content = message(2, np.zeros((2, 3, 3)))
    for length in range(len(content)):
        with pytest.raises(FrameError):
            read_pose_array(content[:length])


def test_random_bytes_are_read_or_refused():
    random = np.random.default_rng(1)
    _, content = message(2, np.zeros((2, 3, 3)))
    for _ in range(3000):
        damaged = content.copy()
        damaged[random.integers(0, len(content), 3)] = random.integers(0, 256, 3)
        try:
            assert len(read_pose_array(damaged).poses) <= 2
        except (FrameError, ValueError):
            continue
