# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages must reach nodes that have the real packages, so the types' hashes must be theirs."""

import json

import pytest

pytestmark = pytest.mark.ros

# Of vision_msgs 4.1.1, hri_msgs 2.0.0, tf2_msgs 0.39.1, people_msgs 1.3.0 and foxglove_msgs 3.4.3.
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
    "foxglove_msgs/msg/CircleAnnotation": "RIHS01_"
    "8bd0a9869b14ed054b6e3fbfb09bd0dbaa90946083adcca96c964a20191fd99a",
    "foxglove_msgs/msg/Color": "RIHS01_"
    "ed1b16da40c954e6456b950c2ef4559c179e5cb98f1363cb28c3b90c6ee14120",
    "foxglove_msgs/msg/ImageAnnotations": "RIHS01_"
    "bc4e578b1ef80953415d6f966a4cab305c8a44c8b64fc405312b6f06a08fc45e",
    "foxglove_msgs/msg/KeyValuePair": "RIHS01_"
    "3a1aafc9b6c5876181434af49e3077c3e63174d48c4be9fbc8f65547c59aaded",
    "foxglove_msgs/msg/Point2": "RIHS01_"
    "d85e823b78e2e88bc31629e305558bcdd2ecc9225f5f9390f96d91930f5696f0",
    "foxglove_msgs/msg/PointsAnnotation": "RIHS01_"
    "e151e5042d911c2949ff9ef427944596eefdf9672ff93d381e8d24e60addf8e6",
    "foxglove_msgs/msg/TextAnnotation": "RIHS01_"
    "9678167e063be85463865db2383506c704498e5f8657f24c576a996e7f2ed2e4",
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
