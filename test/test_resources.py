# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np

from kp_pose_ros.resources import versions


def test_what_is_known_is_named(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert versions()["ROS 2"] == "kilted"
    assert versions()["numpy"] == np.__version__


def test_what_is_not_known_is_left_out(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    assert "ROS 2" not in versions()
