# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from torch_file import CLASSES, KPT_SHAPE, checkpoint, part, save, tiny_pose

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.formats import find_format
from kp_pose_ros.models.layouts import Layout
from kp_pose_ros.models.metadata import Assumed


@pytest.fixture
def metadata(tmp_path):
    """Return the metadata in a checkpoint's file."""

    def read(model):
        path = save(tmp_path / "tiny.pt", checkpoint(model))
        return find_format(path).metadata(path, Assumed())

    return read


def test_checkpoint_takes_any_size_and_any_batch(metadata):
    found = metadata(tiny_pose())
    assert len(found.class_names) == CLASSES
    assert found.kpt_shape == KPT_SHAPE
    assert found.layout is Layout.RAW
    assert found.batch is None
    assert not found.size_is_static


def strange_layer(model):
    part(model, "model")["_modules"]["0"].name = "ultralytics.nn.modules.conv.CBAM"


def strange_head(model):
    part(model, "model")["_modules"]["3"].name = "ultralytics.nn.modules.head.Segment26"


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        pytest.param(strange_layer, "layer model.0 is a 'CBAM'", id="unknown layer"),
        pytest.param(strange_head, "its head is a 'Segment26'", id="unknown head"),
    ],
)
def test_checkpoint_that_cannot_be_written_is_refused_when_it_is_opened(metadata, change, phrase):
    model = tiny_pose()
    change(model)
    with pytest.raises(ModelError, match=f"{phrase}.* export the model to ONNX with ultralytics"):
        metadata(model)


@pytest.mark.parametrize("name", [pytest.param(n, id=n) for n in ("a.PT", "a.Onnx", "a.engine")])
def test_ending_may_be_in_capitals(name):
    assert find_format(Path(name)) is find_format(Path(name.lower()))
