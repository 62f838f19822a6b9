# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0

import subprocess
import sys

import numpy as np
import pytest
from torch_file import Call, Object, Tensor, checkpoint, part, save, save_legacy, tiny_pose

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint


def test_tells_what_the_file_says_of_itself(tmp_path):
    metadata = read_checkpoint(save(tmp_path / "a.pt", checkpoint(tiny_pose()))).metadata
    assert metadata == {
        "description": "yolo11n-pose model trained on pets.yaml",
        "date": "2026-01-02T03:04:05",
        "version": "8.3.0",
        "license": "AGPL-3.0",
        "docs": "https://docs.example",
        "stride": 8,
        "task": "pose",
        "head": "Pose",
        "imgsz": [32, 48],
        "names": {0: "cat", 1: "dog"},
        "channels": 3,
        "kpt_shape": [3, 3],
    }


def test_keeps_keypoint_names(tmp_path):
    model = tiny_pose()
    model.state["kpt_names"] = {0: ["nose", "tail", "paw"], 1: ["nose", "tail", "paw"]}
    metadata = read_checkpoint(save(tmp_path / "a.pt", checkpoint(model))).metadata
    assert metadata["kpt_names"] == {0: ["nose", "tail", "paw"], 1: ["nose", "tail", "paw"]}


def test_reads_arguments_kept_as_an_object(tmp_path):
    model = tiny_pose()
    model.state["args"] = Object("ultralytics.yolo.utils.IterableSimpleNamespace", {"imgsz": 320})
    assert read_checkpoint(save(tmp_path / "a.pt", checkpoint(model))).metadata["imgsz"] == 320


def test_names_the_layers_by_path_and_class(tmp_path):
    layers = read_checkpoint(save(tmp_path / "a.pt", checkpoint(tiny_pose()))).layers
    assert [(layer.path, layer.kind) for layer in layers] == [
        ("model.0", "Conv"),
        ("model.1", "Conv"),
        ("model.2", "Conv"),
        ("model.3", "Pose"),
    ]


def test_prefers_the_averaged_weights_of_a_training_run(tmp_path):
    model, averaged = tiny_pose(), tiny_pose()
    averaged.state["names"] = {0: "averaged cat", 1: "averaged dog"}
    content = checkpoint(model) | {"ema": averaged}
    names = read_checkpoint(save(tmp_path / "a.pt", content)).metadata["names"]
    assert names == {0: "averaged cat", 1: "averaged dog"}


def test_reads_past_what_an_unfinished_training_run_leaves(tmp_path):
    number = Call("numpy.core.multiarray.scalar", (Call("numpy.dtype", ("f8", False, True)), "x"))
    content = checkpoint(tiny_pose()) | {
        "best_fitness": number,
        "optimizer": {"state": {0: {"exp_avg": Tensor(np.zeros(3, np.float16))}}},
        "criterion": Object(
            "ultralytics.utils.loss.v8PoseLoss", {"device": Call("torch.device", ("cpu",))}
        ),
        "save_dir": Call("pathlib.PosixPath", ("runs", "pose")),
    }
    assert len(read_checkpoint(save(tmp_path / "a.pt", content)).layers) == 4


VALUES = np.array([[1.0, -2.5, 0.15625], [0.0, 384.0, -0.0078125]])


@pytest.mark.parametrize(
    "tensor",
    [
        pytest.param(Tensor(VALUES.astype(np.float16)), id="float16"),
        pytest.param(Tensor(VALUES.astype(np.float32)), id="float32"),
        pytest.param(Tensor(VALUES.astype(np.float64)), id="float64"),
        pytest.param(
            Tensor((VALUES.astype("<f4").view("<u4") >> 16).astype("<u2"), "BFloat16Storage"),
            id="bfloat16",
        ),
        pytest.param(
            Tensor(VALUES.T.astype("<f4"), shape=(2, 3), strides=(1, 2)),
            id="columns first",
        ),
        pytest.param(
            Tensor(np.append(99.0, VALUES).astype("<f4"), offset=1, shape=(2, 3), strides=(3, 1)),
            id="in the middle of its storage",
        ),
    ],
)
def test_reads_numbers_however_they_are_stored(tmp_path, tensor):
    model = tiny_pose()
    part(model, "model.0.conv")["_parameters"]["weight"] = tensor
    read = read_checkpoint(save(tmp_path / "a.pt", checkpoint(model)))
    weight = read.layers[0].child("conv").tensor("weight", dimensions=2)
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, VALUES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param([1, 2], "not a dictionary", id="a list"),
        pytest.param({"model": {"weight": 1}}, "holds no model", id="bare weights"),
        pytest.param({"model": None, "ema": None}, "holds no model", id="nothing"),
        pytest.param(
            checkpoint(Object("models.yolo.Model", {})), "'models.yolo.Model'", id="a YOLOv5 model"
        ),
    ],
)
def test_says_what_is_wrong_with_other_files_of_torch(tmp_path, content, message):
    with pytest.raises(ModelError, match=message) as caught:
        read_checkpoint(save(tmp_path / "other.pt", content))
    assert str(tmp_path / "other.pt") in str(caught.value)


def test_says_that_a_file_is_missing(tmp_path):
    with pytest.raises(ModelError, match="there is no such file"):
        read_checkpoint(tmp_path / "missing.pt")


def test_reads_the_demo_weights(demo_weights):
    read = read_checkpoint(demo_weights)
    assert len(read.layers) == 24
    assert read.metadata["kpt_shape"] == [17, 3]
    assert read.metadata["names"] == {0: "person"}
    assert read.metadata["stride"] == 32
    weights = read.layers[0].child("conv").tensor("weight", dimensions=4)
    assert weights.shape == (16, 3, 3, 3)


def test_reads_without_importing_torch_or_ultralytics(tmp_path):
    path = save(tmp_path / "a.pt", checkpoint(tiny_pose()))
    code = (
        "import sys, pathlib\n"
        "from kp_pose_ros.models.checkpoint.checkpoint import read_checkpoint\n"
        "from kp_pose_ros.models.checkpoint.writer import write_onnx\n"
        "checkpoint = read_checkpoint(pathlib.Path(sys.argv[1]))\n"
        "write_onnx(checkpoint, imgsz=(32, 32), batch=1)\n"
        "print(sorted({'torch', 'torchvision', 'ultralytics'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_reads_the_student_of_a_distillation_run(tmp_path):
    both = Object(
        "ultralytics.nn.distill_model.DistillationModel",
        {"_modules": {"teacher_model": None, "student_model": tiny_pose(), "projector": None}},
    )
    read = read_checkpoint(save(tmp_path / "a.pt", checkpoint(tiny_pose()) | {"ema": both}))
    assert [layer.kind for layer in read.layers] == ["Conv", "Conv", "Conv", "Pose"]


def test_reads_the_format_before_torch_1_6(tmp_path):
    zipped = read_checkpoint(save(tmp_path / "new.pt", checkpoint(tiny_pose())))
    read = read_checkpoint(save_legacy(tmp_path / "old.pt", checkpoint(tiny_pose())))
    assert read.metadata == zipped.metadata
    for one, other in zip(read.layers[:-1], zipped.layers[:-1], strict=True):
        weights = [each.child("conv").tensor("weight", 4) for each in (one, other)]
        np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        pytest.param({"keys": []}, "is missing", id="no storages"),
        pytest.param({"keys": 7}, "no list of its tensor storages", id="no list"),
        pytest.param({"keys": ["x"]}, "that no tensor has", id="a storage of nobody"),
        pytest.param({"count": 1}, "but the file has", id="another number of numbers"),
        pytest.param({"cut": 500}, "but the file has", id="cut short"),
        pytest.param({"little_endian": False}, "big-endian", id="big-endian"),
    ],
)
def test_says_what_is_wrong_with_the_older_format(tmp_path, change, phrase):
    with pytest.raises(ModelError, match=phrase):
        read_checkpoint(save_legacy(tmp_path / "old.pt", checkpoint(tiny_pose()), **change))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        pytest.param("models.yolo.Model", "YOLOv5 or YOLOv7 repository.*layout to yolov7", id="v7"),
        pytest.param("super_gradients.training.X", "YOLO-NAS", id="YOLO-NAS"),
        pytest.param("mmengine.config.X", "RTMO", id="MMPose"),
        pytest.param("transformers.models.X", "ViTPose", id="ViTPose"),
    ],
)
def test_advice_for_checkpoints_of_others_can_be_followed(tmp_path, name, advice):
    with pytest.raises(ModelError, match=advice) as caught:
        read_checkpoint(save(tmp_path / "a.pt", checkpoint(Object(name, {}))))
    assert "with ultralytics" not in str(caught.value)
