# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in a bag are those that the node publishes."""

import json
from pathlib import Path

import pytest
from ament_index_python import get_package_share_directory

from kp_pose_ros.bags.files import make_typestore

STORE = make_typestore()


@pytest.mark.parametrize("name", ["Keypoint", "KeypointPose", "PoseArray", "Skeleton"])
def test_definitions_have_the_hashes_that_ros_gives_them(name):
    description = Path(get_package_share_directory("kp_pose_ros"), "msg", f"{name}.json")
    if not description.is_file():
        pytest.skip("this distribution has no type hashes yet")
    hashes = json.loads(description.read_text())["type_hashes"]
    expected = {each["type_name"]: each["hash_string"] for each in hashes}
    type_name = f"kp_pose_ros/msg/{name}"
    assert STORE.hash_rihs01(type_name) == expected[type_name]
