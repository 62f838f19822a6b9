# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The snippets of docs/space.md do what the page says."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rendered import CAMERA, NAMES, render

DOCUMENT = (Path(__file__).parents[2] / "docs" / "space.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


def run_snippet(word, **given):
    """Run the one snippet that has a word in it, and return what it defines."""
    (snippet,) = (each for each in SNIPPETS if word in each)
    exec(snippet, given)
    return given


def test_rays_lead_to_the_keypoints():
    view = render(2.0, 0)
    found = run_snippet(
        "rays",
        np=np,
        info=SimpleNamespace(
            height=480,
            width=640,
            k=CAMERA.matrix.ravel(),
            distortion_model="plumb_bob",
            d=[],
            binning_x=0,
            binning_y=0,
            roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
        ),
        person=SimpleNamespace(
            keypoints=[SimpleNamespace(x=x, y=y) for x, y in CAMERA.project(view.truth)]
        ),
    )
    distances = np.linalg.norm(view.truth, axis=1, keepdims=True)
    np.testing.assert_allclose(found["rays"] * distances, view.truth, atol=1e-6)
    right = view.truth[:, 0] > 0
    np.testing.assert_array_equal(found["left_right"] > 0, right)
    assert found["up_down"][NAMES.index("left_ankle")] > found["up_down"][NAMES.index("nose")]


def test_keypoints_3d_come_from_depth_without_ros():
    view = render(2.0, 0)
    found = run_snippet(
        "lifter",
        matrix=CAMERA.matrix,
        coefficients=CAMERA.coefficients,
        millimetres=(view.depth * 1000).astype(np.uint16),
        skeleton=SimpleNamespace(keypoint_names=NAMES),
        poses=view.poses,
    )
    errors = np.linalg.norm(found["keypoints_3d"][0] - view.truth, axis=1)
    assert np.nanmedian(errors) < 0.04
