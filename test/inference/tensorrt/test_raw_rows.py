# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from pose_graphs import COCO, constant_model, random_raw, run

from kp_pose_ros.inference.tensorrt.raw_rows import select_rows
from kp_pose_ros.models.prepare import prepare


@pytest.mark.parametrize(
    ("classes", "kpt_shape", "anchors"),
    [
        pytest.param(1, (17, 3), 5040, id="people"),
        pytest.param(3, (5, 2), 2000, id="three classes, keypoints without a score"),
        pytest.param(1, (17, 3), 126, id="fewer anchors than candidates"),
        pytest.param(2, (4, 3), 1024, id="as many"),
    ],
)
def test_selects_what_a_prepared_graph_selects(classes, kpt_shape, anchors):
    raw = random_raw(classes, kpt_shape, anchors)
    names = {index: f"class {index}" for index in range(classes)}
    metadata = COCO | {"names": str(names), "kpt_shape": str(list(kpt_shape))}
    model = constant_model(raw, metadata=metadata)
    prepare(model, (64, 96))
    (expected,) = run(model, np.zeros((1, 3, 64, 96), np.float32))
    rows = select_rows(raw, classes)
    order = np.argsort(-rows[:, 4], kind="stable")
    np.testing.assert_allclose(rows[order], expected, rtol=1e-6)
