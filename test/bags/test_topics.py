# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from kp_pose_ros.bags.topics import image_topics, result_prefixes
from kp_pose_ros.errors import SettingsError


@pytest.mark.parametrize(
    ("images", "others", "expected"),
    [
        pytest.param(["/front/image_raw"], [], ["/front/"], id="beside the image"),
        pytest.param(["/image"], [], ["/"], id="without a namespace"),
        pytest.param(
            ["/front/image/compressed"], [], ["/front/"], id="beside the compressed image's base"
        ),
        pytest.param(
            ["/front/image", "/rear/image"], [], ["/front/", "/rear/"], id="two namespaces"
        ),
        pytest.param(
            ["/cam/left", "/cam/right"], [], ["/cam/left/", "/cam/right/"], id="one namespace"
        ),
        pytest.param(
            ["/cam/image", "/cam/image/compressed"],
            [],
            ["/cam/image/", "/cam/image/compressed/"],
            id="the same images twice",
        ),
        pytest.param(
            ["/cam/image"], ["/cam/poses"], ["/cam/image/"], id="recorded poses stay what they are"
        ),
    ],
)
def test_results_lie_beside_the_image_or_below_it(images, others, expected):
    prefixes = result_prefixes(images, [*images, *others])
    assert [prefixes[image] for image in images] == expected


def test_names_that_are_taken_everywhere_are_refused():
    taken = ["/cam/image", "/cam/poses", "/cam/image/skeleton"]
    with pytest.raises(SettingsError, match="/cam/image/skeleton already: leave /cam/image out"):
        result_prefixes(["/cam/image"], taken)


JPEGS = "sensor_msgs/msg/CompressedImage"


@pytest.mark.parametrize(
    ("types", "told"),
    [
        pytest.param({}, "it has no topics", id="nothing"),
        pytest.param(
            {"/cam": "foxglove_msgs/msg/CompressedImage"},
            "it has /cam (foxglove_msgs/msg/CompressedImage)",
            id="images of another kind",
        ),
        pytest.param(
            {"/depth/compressedDepth": JPEGS},
            f"it has /depth/compressedDepth ({JPEGS})",
            id="depth",
        ),
    ],
)
def test_a_bag_without_images_says_what_it_has(types, told):
    with pytest.raises(SettingsError, match="has no images: expected a topic of type ") as refused:
        image_topics(types, None)
    assert str(refused.value).endswith(told)
