# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages must reach nodes that have the real packages, so the types' hashes must be theirs."""

import json

import pytest

pytestmark = pytest.mark.ros

# Of vision_msgs 4.1.1, hri_msgs 2.0.0, tf2_msgs 0.39.1 and people_msgs 1.3.0.
OFFICIAL = {
    "vision_msgs/msg/BoundingBox2D": "RIHS01_"
    "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "vision_msgs/msg/Detection2D": "RIHS01_"
    "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "vision_msgs/msg/Detection2DArray": "RIHS01_"
    "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "hri_msgs/msg/IdsList": "RIHS01_"
    "7e0812d1ac945c98fd3e393568d581ad0ab567f37b24eff633eab778c1bfe62d",
    "hri_msgs/msg/NormalizedPointOfInterest2D": "RIHS01_"
    "cc1d2f720c82afeb850ff1dbf66f41ecb7caf19f842987f1247e66160cf03953",
    "hri_msgs/msg/NormalizedRegionOfInterest2D": "RIHS01_"
    "2e50c93f1ca166ee77af9a5424dc951ae4e452b740162a7f83c082d917dcaff5",
    "hri_msgs/msg/Skeleton2D": "RIHS01_"
    "1cb61f012db6ca43c48fa0097ccab9a00108ea39323c13f01bb983323c1e3420",
    "tf2_msgs/msg/TFMessage": "RIHS01_"
    "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "people_msgs/msg/People": "RIHS01_"
    "9ea98a5e58f833a9532957bca23a6b8006a12885d5a16c8ca41dd901d10c33b6",
    "people_msgs/msg/Person": "RIHS01_"
    "434c04a421c02370b4e2322c2a4201bebb3e32545e0145199743678ab9ce0fa0",
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_type_has_the_official_hash(name):
    from ament_index_python import PackageNotFoundError, get_package_share_path

    package, _, message = name.split("/")
    try:
        description = get_package_share_path(package) / "msg" / f"{message}.json"
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed in this distribution")
    if not description.is_file():
        pytest.skip("this distribution has no type hashes yet")
    hashes = json.loads(description.read_text())["type_hashes"]
    assert {"type_name": name, "hash_string": OFFICIAL[name]} in hashes
