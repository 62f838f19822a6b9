# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from kp_pose_ros.errors import ModelError
from kp_pose_ros.skeleton import BUILTIN, Skeleton, find_skeleton

SMALL = """
name: pen
keypoints: [tip, middle, cap, clip]
parts:
  body: {color: [1, 2, 3], keypoints: [tip, 1], edges: [[tip, middle], [1, 2]]}
  top: {color: [4, 5, 6], keypoints: [cap], edges: [[cap, clip]]}
"""


@pytest.fixture
def skeleton_file(tmp_path):
    def write(text):
        path = tmp_path / "skeleton.yaml"
        path.write_text(text)
        return path

    return write


def test_file_gives_names_edges_and_colours_in_order(skeleton_file):
    pen = Skeleton.load(skeleton_file(SMALL))
    assert pen.keypoint_names == ("tip", "middle", "cap", "clip")
    assert pen.edges == ((0, 1), (1, 2), (2, 3))
    assert pen.edge_colors == ((1, 2, 3), (1, 2, 3), (4, 5, 6))
    assert pen.keypoint_colors == ((1, 2, 3), (1, 2, 3), (4, 5, 6), (160, 160, 160))


@pytest.mark.parametrize(
    ("old", "new", "phrase"),
    [
        pytest.param("name: pen", "nom: pen", "unknown key nom", id="unknown key"),
        pytest.param(
            "color: [1, 2, 3],", "colour: 1,", "unknown key colour", id="unknown part key"
        ),
        pytest.param("name: pen", "name: 3", "name must be a string, found 3", id="name a number"),
        pytest.param("middle, cap", "tip, cap", "two keypoints are named tip", id="duplicate name"),
        pytest.param("cap, clip]\n", "cap, no]\n", "found False", id="YAML turns no into False"),
        pytest.param(
            "[1, 2]]", "[1, 4]]", "keypoint 4, expected .* 0 to 3", id="edge out of range"
        ),
        pytest.param("[1, 2]]", "[1, -1]]", "keypoint -1", id="edge index negative"),
        pytest.param("[1, 2]]", "[1, lid]]", "keypoint 'lid'", id="edge to unknown name"),
        pytest.param("[1, 2]]", "[1, 1]]", "from middle to itself", id="self edge"),
        pytest.param("[1, 2]]", "[1, tip]]", "middle to tip is listed twice", id="edge twice"),
        pytest.param("[1, 2]]", "[1]]", r"pair of keypoints, found \[1\]", id="edge of one point"),
        pytest.param("[[cap, clip]]", "cap", "edges of part top must be a list", id="edges a text"),
        pytest.param("[cap]", "[tip]", "tip belongs to two parts", id="point in two parts"),
        pytest.param("[1, 2, 3]", "[1, 2, 256]", "0 to 255", id="colour above 255"),
        pytest.param("[1, 2, 3]", "[1, 2]", "three numbers", id="colour of two numbers"),
        pytest.param(SMALL, "- 1", "must be a mapping", id="a list for a mapping"),
        pytest.param(SMALL, "", "must be a mapping", id="empty file"),
        pytest.param(SMALL, "name: x", "keypoints must be a list", id="no keypoints"),
        pytest.param(SMALL, "a: [", "cannot be read", id="broken YAML"),
        pytest.param(SMALL, "!!python/name:os.system x", "cannot be read", id="python tag"),
    ],
)
def test_wrong_file_is_refused_in_one_sentence(skeleton_file, old, new, phrase):
    assert old in SMALL
    path = skeleton_file(SMALL.replace(old, new))
    with pytest.raises(ModelError, match=phrase) as caught:
        Skeleton.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.yaml cannot be read: No such file"):
        Skeleton.load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "count", "edges"),
    [
        pytest.param("coco17", 17, 19, id="body"),
        pytest.param("face5", 5, 6, id="face"),
        pytest.param("hand21", 21, 21, id="hand"),
    ],
)
def test_shipped_skeleton_joins_all_points_in_one_piece(name, count, edges):
    skeleton = Skeleton.builtin(name)
    assert skeleton.name == name
    assert len(skeleton) == count
    assert len(skeleton.edges) == edges
    reached = {0}
    for _ in range(count):
        reached |= {point for edge in skeleton.edges if reached & set(edge) for point in edge}
    assert reached == set(range(count))


def test_every_point_of_a_shipped_skeleton_belongs_to_a_part():
    grey = Skeleton.generic(1).keypoint_colors[0]
    assert all(grey not in Skeleton.builtin(name).keypoint_colors for name in BUILTIN)


def test_coco_left_is_odd_and_right_follows():
    names = Skeleton.builtin("coco17").keypoint_names
    assert names[0] == "nose"
    assert [n.replace("left", "right") for n in names[1::2]] == list(names[2::2])


def test_unknown_builtin_names_those_there_are():
    with pytest.raises(ModelError, match=r"'body25': expected coco17, face5, hand21"):
        Skeleton.builtin("body25")


@pytest.mark.parametrize(
    ("chosen", "phrase"),
    [
        pytest.param("body25", "named 'body25': expected coco17, face5, hand21 or", id="a name"),
        pytest.param("gone.yaml", r"gone.yaml cannot be read: No such .* coco17", id="a file"),
        pytest.param("config/coco17", "config/coco17 cannot be read", id="a path without ending"),
        pytest.param(".", r"\. cannot be read: Is a directory", id="a folder"),
    ],
)
def test_what_is_neither_name_nor_file_is_told_with_the_shipped_names(chosen, phrase):
    with pytest.raises(ModelError, match=phrase):
        Skeleton.find(chosen)


def test_found_by_name_or_file(skeleton_file):
    assert Skeleton.find("face5").name == "face5"
    assert Skeleton.find(skeleton_file(SMALL)).name == "pen"


HAND_NAMES = Skeleton.builtin("hand21").keypoint_names


@pytest.mark.parametrize(
    ("keypoint_names", "count", "classes", "expected"),
    [
        pytest.param((), 17, ("person",), "coco17", id="17 points of a person"),
        pytest.param((), 5, ("Face",), "face5", id="five points of a face"),
        pytest.param((), 21, ("hand",), "hand21", id="21 points of a hand"),
        pytest.param(HAND_NAMES, 21, ("left", "right"), "hand21", id="names agree, classes do not"),
        pytest.param((), 17, ("horse",), "generic17", id="17 points of a horse"),
        pytest.param((), 17, ("person", "horse"), "generic17", id="person and horse"),
        pytest.param((), 13, ("person",), "generic13", id="13 points of a person"),
        pytest.param(("a", "b"), 2, ("pen",), "custom2", id="the model's own names"),
    ],
)
def test_skeleton_is_found_from_names_number_and_class(keypoint_names, count, classes, expected):
    skeleton = find_skeleton(keypoint_names, count, classes)
    assert skeleton.name == expected
    assert len(skeleton) == count


@pytest.mark.parametrize(
    ("count", "names", "phrase"),
    [
        pytest.param(
            3, ("kp_0", "kp_1", "kp_2"), "3 keypoints, which are named kp_0 to kp_2", id="3"
        ),
        pytest.param(1, ("kp_0",), "1 keypoint, which is named kp_0,", id="1"),
    ],
)
def test_generated_names_are_counted_from_zero_and_logged(count, names, phrase, caplog):
    with caplog.at_level(logging.WARNING):
        skeleton = find_skeleton((), count, ("pen",))
    assert skeleton.keypoint_names == names
    assert skeleton.edges == ()
    assert phrase in caplog.text
