# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`info`, `export` and `annotate` agree about a model file.

The node opens models as `annotate` does, with `make_estimator`.
"""

import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kp_pose_ros.cli import main

sys.path += [str(Path(__file__).parents[1] / "models" / each) for each in ("", "checkpoint")]

from pose_graphs import COCO, constant_model, random_raw, rtmo
from torch_file import checkpoint, save, tiny_pose


def raw_of(classes):
    raw = random_raw(classes, (17, 3), 126)
    raw[4 + classes + 2 :: 3] /= 600  # the keypoints' scores
    return raw


RAW = raw_of(1)
TWO = {**COCO, "names": "['a', 'b']"}
PEOPLE = np.array([[5, 5, 60, 40, 0.9]]), np.full((1, 17, 3), (30, 20, 0.5))


def graph(output=RAW, changes=None, drop=(), **arguments):
    metadata = {**COCO, **(changes or {})}
    for key in drop:
        del metadata[key]
    return constant_model(output, metadata=metadata, **arguments)


def with_declared(shape):
    model = graph()
    sides = model.graph.output[0].type.tensor_type.shape
    for side, value in zip(sides.dim, shape, strict=True):
        side.dim_value = value
    return model


def with_batch(number):
    model = graph(input_shape=("batch", 3, 64, 96))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = number
    return model


def with_weights_as_inputs():
    model = graph()
    model.graph.input.extend(
        helper.make_tensor_value_info(each.name, each.data_type, each.dims)
        for each in model.graph.initializer
    )
    return model


def with_another_output():
    model = graph()
    model.graph.output.append(
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ("batch", 1, 64, 96))
    )
    return model


def that_does_not_fit_together():
    model = graph()
    model.graph.node.append(helper.make_node("Concat", ["output0", "images"], ["both"], axis=1))
    model.graph.node.append(helper.make_node("Identity", ["output0"], ["result"]))
    model.graph.output[0].name = "result"
    return model


def tiny(change):
    content = checkpoint(tiny_pose())
    change(content["model"].state)
    return content


ONNX = {
    "as ultralytics exports it": graph(),
    "any batch": graph(input_shape=("batch", 3, 64, 96)),
    "a batch of 0 declared": with_batch(0),
    "a batch of -1 declared": with_batch(-1),
    "a wrong number of anchors declared": with_declared((1, 56, 999)),
    "weights among the inputs": with_weights_as_inputs(),
    "no metadata": constant_model(RAW, metadata={}),
    "transposed, no metadata": constant_model(RAW.T, metadata={}),
    "two classes": graph(raw_of(2), TWO),
    "two classes, transposed": graph(raw_of(2).T, TWO),
    "two classes, no metadata": constant_model(raw_of(2).T, metadata={}),
    "names as JSON": graph(changes={"names": '{"0": "person"}'}),
    "names that are none": graph(changes={"names": "person"}),
    "two names for one class": graph(changes={"names": "['a', 'b']"}),
    "no names": graph(drop=["names"]),
    "no kpt_shape": graph(drop=["kpt_shape"]),
    "kpt_shape without brackets": graph(changes={"kpt_shape": "17, 3"}),
    "kpt_shape of another model": graph(changes={"kpt_shape": "[16, 3]"}),
    "kpt_shape of four numbers": graph(changes={"kpt_shape": "[17, 4]"}),
    "another imgsz than the graph's": graph(changes={"imgsz": "[640, 640]"}),
    "imgsz that is none": graph(changes={"imgsz": "auto"}),
    "no stride": graph(drop=["stride"]),
    "half precision": graph(dtype=np.float16),
    "opset 11": graph(opset=11),
    "rows": graph(np.zeros((300, 57), np.float32), {"end2end": "True"}),
    "two outputs": with_another_output(),
    "shapes that contradict each other": that_does_not_fit_together(),
    "another task": graph(changes={"task": "segment"}),
    "RTMO": rtmo(PEOPLE),
}
CHECKPOINTS = {
    "a checkpoint": tiny(lambda state: None),
    "a checkpoint of another task": tiny(lambda state: state.update(task="detect")),
    "a classifier": tiny(lambda state: state.update(task="classify", model=None)),
}


def write(name, folder):
    if name in CHECKPOINTS:
        return save(folder / "model.pt", CHECKPOINTS[name])
    path = folder / "model.onnx"
    if name == "cut short":
        path.write_bytes(graph().SerializeToString()[:500])
    elif name == "zipped":
        path = path.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("20231219/end2end.onnx", rtmo(PEOPLE).SerializeToString())
            archive.writestr("__MACOSX/20231219/._end2end.onnx", b"notes")
    else:
        onnx.save(ONNX[name], path)
    return path


@pytest.mark.parametrize("name", [*ONNX, *CHECKPOINTS, "cut short", "zipped"])
def test_every_command_gives_the_same_answer(name, tmp_path, capsys):
    model = str(write(name, tmp_path))
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((64, 96, 3), np.uint8))
    commands = (
        ["info", model],
        ["export", model, "-o", str(tmp_path / "graph.onnx")],
        [
            "annotate",
            str(picture),
            "-o",
            str(tmp_path / "out"),
            "--model",
            model,
            "--engine",
            "onnx",
        ],
    )
    answers = set()
    for command in commands:
        status = main(command)
        said = capsys.readouterr().err.splitlines()
        answers.add((status, *(line for line in said if line.startswith("kp_pose: "))))
    assert len(answers) == 1
