# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cameras whose places are known come back from what they see of people who walk."""

from dataclasses import replace

import numpy as np
import pytest
from rendered import NAMES
from room import CAMERA, ROOM, WIDE
from walkers import recording, walks

from kp_pose_ros.errors import CalibrationError
from kp_pose_ros.poses import UNTRACKED
from kp_pose_ros.space.multi_camera.extrinsics import find_extrinsics
from kp_pose_ros.space.multi_camera.rig import Viewpoint

RIG = dict(zip(("left", "right", "back"), ROOM, strict=True))


def baseline(rig):
    first, second, *_ = (view.pose[:3, 3] for view in rig.values())
    return float(np.linalg.norm(first - second))


def find(rig, moments, **scale):
    cameras = {name: view.camera for name, view in rig.items()}
    return find_extrinsics(cameras, moments, NAMES, **(scale or {"baseline": baseline(rig)}))


def errors(rig, found):
    """Return for each camera but the first degrees, and metres as a share of the baseline."""
    first, *others = (np.linalg.inv(next(iter(rig.values())).pose) @ v.pose for v in rig.values())
    np.testing.assert_allclose(first, np.eye(4), atol=1e-9)
    poses = [view.pose for view in list(found.viewpoints.values())[1:]]
    turns = [np.trace(a[:3, :3].T @ b[:3, :3]) for a, b in zip(others, poses, strict=True)]
    ways = [np.linalg.norm(a[:3, 3] - b[:3, 3]) for a, b in zip(others, poses, strict=True)]
    degrees = np.degrees(np.arccos(np.clip((np.array(turns) - 1) / 2, -1, 1)))
    return float(degrees.max()), max(ways) / baseline(rig)


@pytest.mark.parametrize(
    ("people", "camera"),
    [
        pytest.param(1, CAMERA, id="one person"),
        pytest.param(2, CAMERA, id="two people"),
        pytest.param(1, WIDE, id="a fisheye"),
    ],
)
def test_three_cameras_are_found_with_one_match_in_five_wrong(people, camera):
    rig = {name: replace(view, camera=camera) for name, view in RIG.items()}
    found = find(rig, recording(rig, walks(people, 15, people), seed=1, wrong=0.2))
    degrees, share = errors(rig, found)
    print(f"\n{degrees:.3f} degrees, {share:.2%} of the baseline")
    assert degrees < 0.5
    assert share < 0.03
    assert np.median(found.errors) < 1.5
    assert list(found.viewpoints) == list(rig)


def test_a_height_gives_the_scale_where_no_distance_is_known():
    found = find(RIG, recording(RIG, walks(1, 15, 4), seed=3), height=1.7)
    assert errors(RIG, found)[1] < 0.08
    assert found.height == pytest.approx(1.7)


def test_the_uncertainty_is_of_the_size_of_the_error():
    found = find(RIG, recording(RIG, walks(1, 15, 5), seed=4, noise=3.0))
    degrees, share = errors(RIG, found)
    assert degrees < 4 * np.degrees(found.angles.max())
    assert share * baseline(RIG) < 4 * found.distances.max()
    assert found.angles[0] == found.distances[0] == 0


def corridor(moments):
    """What the cameras saw if only `right` sees people together with each of the others."""
    missing = ("left", "back")
    return [
        {k: v for k, v in each.items() if k != missing[2 * i < len(moments)]}
        for i, each in enumerate(moments)
    ]


def crossed(moments, seed):
    """What the cameras saw, those of all but the first at other times."""
    order = np.random.default_rng(seed).permutation(len(moments))
    return [
        {k: (a if k == "left" else b)[k] for k in a}
        for a, b in zip(moments, [moments[i] for i in order], strict=True)
    ]


# By which check depends on what the wrong matches happen to look like.
REFUSED = "cannot be placed|is uncertain by|agrees with the others on a person in|hardly move"
WALK = recording(RIG, walks(1, 15, 6), seed=5)
PARTS = {name: RIG[name] for name in ("left", "right")}


@pytest.mark.parametrize(
    ("rig", "moments", "words"),
    [
        pytest.param({"left": ROOM[0]}, WALK, "1 camera is given", id="one camera"),
        pytest.param(RIG, WALK[:5], "'back' cannot be placed: .* at 5 times", id="too short"),
        pytest.param(
            PARTS,
            [{k: v[:0] if k == "right" else v for k, v in each.items()} for each in WALK],
            "'right' cannot be placed: it shows people at 0 times",
            id="a camera that sees nobody",
        ),
        pytest.param(
            PARTS,
            [{k: v for k, v in each.items() if k == ("left", "right")[i % 2]}
             for i, each in enumerate(WALK)],
            "at 0 of them another camera shows people",
            id="never at one time",
        ),
        pytest.param(
            PARTS,
            [{k: replace(v, track_ids=np.full(len(v), UNTRACKED, np.int32))
              for k, v in each.items()} for each in recording(RIG, walks(2, 15, 7), seed=5)],
            "agree on a person in fewer than 20 pairs",
            id="untracked",
        ),
        pytest.param(RIG, corridor(WALK), "'back' is uncertain by", id="no time with all three"),
        pytest.param(PARTS, crossed(WALK, 1), REFUSED, id="clocks"),
        pytest.param(
            PARTS,
            [
                {"left": one["left"], "right": other["right"]}
                for one, other in zip(
                    recording(RIG, walks(1, 15, 8), seed=6),
                    recording(RIG, walks(1, 15, 9), seed=7),
                    strict=True,
                )
            ],
            REFUSED,
            id="no overlap",
        ),
        pytest.param(
            PARTS,
            recording(RIG, np.repeat(walks(1, 1, 1)[:1], 80, axis=0), seed=8),
            "hardly move",
            id="somebody who stands",
        ),
        pytest.param(
            PARTS,
            recording({"left": ROOM[0], "right": Viewpoint(ROOM[0].camera, ROOM[0].pose)},
                      walks(1, 15, 6), seed=8),
            REFUSED,
            id="cameras at one place",
        ),
    ],
)  # fmt: skip
def test_what_a_recording_does_not_tell_is_one_sentence(rig, moments, words):
    with pytest.raises(CalibrationError, match=words) as caught:
        find(rig, moments, height=1.7)
    print(f"\n{caught.value}")


def test_a_skeleton_without_bones_gives_no_scale():
    cameras = {name: view.camera for name, view in RIG.items()}
    names = [f"kp_{index}" for index in range(17)]
    with pytest.raises(CalibrationError, match="coco17"):
        find_extrinsics(cameras, WALK, names, height=1.7)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        pytest.param({"height": 170}, "170 m tall .*check the height", id="centimetres"),
        pytest.param({"baseline": 8016}, "check the baseline, .* in metres", id="millimetres"),
    ],
)
def test_a_scale_that_makes_giants_or_dwarfs_is_refused(scale, words):
    with pytest.raises(CalibrationError, match=words):
        find(PARTS, WALK, **scale)
