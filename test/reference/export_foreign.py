# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exports models with ultralytics in the ways its users do. Runs where torch and ultralytics are.

The settings are {"raw": {"model": "yolo11n-pose.pt", "dynamic": true}, ...}: `model` is a .pt file,
or the name of a model whose weights are made up; other keys are options of ultralytics' export. The
folder gets `raw.onnx`, ...
"""

import importlib.metadata
import shutil
import sys
import types
from pathlib import Path

_version = importlib.metadata.version
importlib.metadata.version = lambda name: "0.0.0" if name == "torchvision" else _version(name)

import torch  # noqa: E402
from serve import serve  # noqa: E402
from torch.onnx import register_custom_op_symbolic, symbolic_helper  # noqa: E402


def make(folder: Path, exports: dict) -> None:
    torch.manual_seed(0)
    stand_in_for_torchvision()
    from ultralytics import YOLO

    for name, options in exports.items():
        model, checkpoint = options.pop("model"), folder / f"{name}.pt"
        if model.endswith(".pt"):
            shutil.copy(model, checkpoint)
        else:
            torch.save({"model": YOLO(model).model.half(), "train_args": {}}, checkpoint)
        YOLO(checkpoint).export(format="onnx", simplify=False, **options)


def stand_in_for_torchvision() -> None:
    """Offer `torchvision.ops.nms`, all that an export with nms=True needs.

    The wheel of torchvision does not load beside a CPU build of torch. What the exporter traces and
    writes is the same: one NonMaxSuppression.
    """
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    library.impl("nms", lambda boxes, scores, _: scores.argsort(descending=True)[:1], "CPU")
    register_custom_op_symbolic("torchvision::nms", write_nms, 11)
    ops = types.ModuleType("torchvision.ops")
    ops.nms = torch.ops.torchvision.nms
    ops.library = library  # alive as long as the module
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision"].ops = sys.modules["torchvision.ops"] = ops


@symbolic_helper.parse_args("v", "v", "f")
def write_nms(graph, boxes, scores, threshold):
    boxes = symbolic_helper._unsqueeze_helper(graph, boxes, [0])
    scores = symbolic_helper._unsqueeze_helper(graph, scores, [0])
    scores = symbolic_helper._unsqueeze_helper(graph, scores, [0])
    most = graph.op("Constant", value_t=torch.tensor([1000]))
    threshold = graph.op("Constant", value_t=torch.tensor([threshold]))
    chosen = graph.op("NonMaxSuppression", boxes, scores, most, threshold)
    column = symbolic_helper._slice_helper(graph, chosen, axes=[1], starts=[2], ends=[3])
    return symbolic_helper._squeeze_helper(graph, column, [1])


serve(make)
