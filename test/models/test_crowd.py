# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A hundred people in one frame: the selection keeps everybody that the network found."""

import cv2
import numpy as np
import pytest
from pose_graphs import run

from kp_pose_ros.inference.decode import Candidates, DecodeSettings, decode
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint
from kp_pose_ros.models.checkpoint.writer import write_onnx
from kp_pose_ros.models.prepare import prepare

PEOPLE = {  # one person each: rows, columns
    "bus.jpg": ((380, 920, 20, 260), (390, 880, 210, 360), (370, 900, 660, 810)),
    "zidane.jpg": ((30, 720, 720, 1180), (180, 720, 80, 760)),
}
SCORE, IOU = 0.25, 0.7


@pytest.fixture(scope="module")
def people(demo_photo):
    return [
        demo_photo(name)[top:bottom, left:right]
        for name, crops in PEOPLE.items()
        for top, bottom, left, right in crops
    ]


def mosaic(people, size, across=10):
    """Return a picture of `across` x `across` people, none beside a copy of itself."""
    side = size // across
    tiles = [cv2.resize(person, (side, side), interpolation=cv2.INTER_AREA) for person in people]
    rows = [
        np.hstack([tiles[(3 * row + column) % len(tiles)] for column in range(across)])
        for row in range(across)
    ]
    return np.vstack(rows)


def raw_boxes(raw):
    """Return the boxes that suppression leaves of every column of a raw output."""
    columns = raw.T[raw[4] > SCORE]
    corners = columns[:, :2] - columns[:, 2:4] / 2
    boxes = np.hstack((corners, columns[:, 2:4]))
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), columns[:, 4].tolist(), SCORE, IOU)
    return np.hstack((corners, corners + columns[:, 2:4]))[kept]


def test_nobody_is_lost_in_a_crowd(demo_weights, people):
    size = 960
    network = (size, size)
    picture = mosaic(people, size)
    pixels = picture[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
    model = write_onnx(read_checkpoint(demo_weights), imgsz=network, batch=1)
    expected = raw_boxes(run(model, pixels)[0]).clip(0, size)
    prepare(model, network)
    candidates = Candidates(run(model, pixels)[0], Letterbox.fit(network, network))
    settings = DecodeSettings(score_threshold=SCORE, iou_threshold=IOU)
    found = decode(candidates, (17, 3), settings).boxes
    assert len(expected) >= 100
    assert len(found) == len(expected)
    distances = np.abs(expected[:, None] - found[None]).max(axis=2).min(axis=1)
    assert distances.max() < 1e-2
