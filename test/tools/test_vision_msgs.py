# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Detections must reach nodes that have the real vision_msgs, so the types' hashes must be its."""

import json

import pytest

pytestmark = pytest.mark.ros

# Of vision_msgs 4.1.1.
OFFICIAL = {
    "BoundingBox2D": "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "Detection2D": "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_type_has_the_official_hash(name):
    from ament_index_python import get_package_share_path

    description = get_package_share_path("vision_msgs") / "msg" / f"{name}.json"
    if not description.is_file():
        pytest.skip("this distribution has no type hashes yet")
    hashes = json.loads(description.read_text())["type_hashes"]
    assert {"type_name": f"vision_msgs/msg/{name}", "hash_string": OFFICIAL[name]} in hashes
