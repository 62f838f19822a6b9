# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip("rosbags.typesys")

from kp_pose_ros.bags.definitions import make_typestore


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Detection2DArray", "214274120007f4a6", id="detections"),
        pytest.param("Detection2D", "0d12b69df5c593b3", id="one detection"),
        pytest.param("BoundingBox2D", "008eacbb0cf8f26e", id="a box"),
    ],
)
def test_the_types_of_vision_msgs_are_those_of_the_published_package(name, expected):
    digest = make_typestore().hash_rihs01(f"vision_msgs/msg/{name}")
    assert digest.startswith(f"RIHS01_{expected}")
