# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a checkpoint and ultralytics' own export of it. Runs where torch and ultralytics are.

The settings are {"model": "yolov8n-pose.yaml", "imgsz": [64, 96], ...}: `model` is a model's name,
whose weights are then made up, or a `.pt` file. The folder gets `model.pt`, `model.onnx`, and the
pictures that ultralytics comes with.
"""

import functools
import importlib.metadata
import shutil
from pathlib import Path

_version = importlib.metadata.version


def _version_without_torchvision(name: str) -> str:
    """Answer for torchvision, of which an export needs no more than the version."""
    return "0.0.0" if name == "torchvision" else _version(name)


importlib.metadata.version = _version_without_torchvision

import numpy as np  # noqa: E402
import torch  # noqa: E402
from serve import serve  # noqa: E402
from ultralytics import YOLO  # noqa: E402
from ultralytics.cfg import get_cfg  # noqa: E402
from ultralytics.nn.tasks import PoseModel, yaml_model_load  # noqa: E402
from ultralytics.utils import ASSETS  # noqa: E402


def make(folder: Path, settings: dict) -> None:
    checkpoint = folder / "model.pt"
    if settings["model"].endswith(".pt"):
        shutil.copy(settings["model"], checkpoint)
    else:
        torch.manual_seed(0)
        save_made_up(checkpoint, settings)
    YOLO(checkpoint).export(
        format="onnx", imgsz=settings["imgsz"], batch=settings["batch"], simplify=False
    )
    for name in ("bus.jpg", "zidane.jpg"):
        shutil.copy(ASSETS / name, folder)


def save_made_up(path: Path, settings: dict) -> None:
    """Save a model of random weights as ultralytics saves trained ones, in float16."""
    classes, kpt_shape = settings["nc"], settings["kpt_shape"]
    model = PoseModel(
        described(settings),
        ch=settings["channels"],
        nc=classes,
        data_kpt_shape=kpt_shape,
        verbose=False,
    )
    model.names = {index: f"class {index}" for index in range(classes)}
    model.args = {"imgsz": 640, "task": "pose", "data": "made-up.yaml"}
    model.task = "pose"
    draw_weights(model, settings)
    content = {
        "epoch": -1,
        "model": model.half(),
        "train_args": {"imgsz": 640, "task": "pose"},
        "date": "2026-01-01T00:00:00",
        "version": "made up",
        "license": "AGPL-3.0",
        "docs": "https://docs.ultralytics.com",
    }
    kind, _, protocol = settings["saved"].partition(" ")
    torch.save(
        content | (unfinished(model) if settings["unfinished"] else {}),
        path,
        pickle_protocol=int(protocol or 2),
        _use_new_zipfile_serialization=kind == "zip",
    )


def described(settings: dict) -> dict:
    """Return the model's description with what the settings change of it."""
    description = yaml_model_load(settings["model"])
    description["activation"] = settings["activation"]
    if settings["end2end"] is not None:
        description["end2end"] = settings["end2end"]
    for layer in description["backbone"] + description["head"]:
        if layer[2] == "nn.Upsample":
            layer[3] = ["None", 2, settings["upsampling"]]
        if layer[2] == "C2f" and settings["body"]:
            layer[2] = settings["body"]
    return description


def unfinished(model: PoseModel) -> dict:
    """Return what a training run leaves in its checkpoints until it ends, model included."""
    model.args = get_cfg()
    model.criterion = model.init_criterion()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for weights in model.parameters():
        weights.grad = torch.zeros_like(weights)
    optimizer.step()
    return {
        "model": None,
        "ema": model,
        "best_fitness": np.float64(0.5),
        "optimizer": optimizer.state_dict(),
        "updates": 7,
        "save_dir": Path("runs"),
    }


def draw_weights(model: PoseModel, settings: dict) -> None:
    """Draw weights and statistics that keep the signal at the same strength in every layer.

    Left to chance, it dies or explodes; with the statistics of a real batch, deep layers blow up
    the little by which the features of random pictures differ.
    """
    head = model.model[-1]
    # Scores on both sides of 0.25, boxes of all sizes, keypoints in and around the picture.
    keypoints = getattr(head, "cv4_kpts", head.cv4)
    for branches, gain in ((head.cv2, 0.5), (head.cv3, 1.5), (keypoints, 0.3)):
        for branch in branches:
            last = branch if isinstance(branch, torch.nn.Conv2d) else branch[-1]
            last.register_forward_pre_hook(functools.partial(draw_output, gain))
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.register_forward_pre_hook(draw_statistics)
    with torch.no_grad():
        model.eval()
        features = run_body(model, torch.rand(2, settings["channels"], *settings["imgsz"]))
        head.forward_head(features, **head.one2many)
    for part in model.modules():
        part._forward_pre_hooks.clear()


def run_body(model: PoseModel, images: torch.Tensor) -> list[torch.Tensor]:
    """Return what the head reads."""
    made = []

    def read(layer: torch.nn.Module) -> torch.Tensor | list[torch.Tensor]:
        if isinstance(layer.f, list):
            return [made[place] for place in layer.f]
        return made[layer.f] if made else images

    for layer in model.model[:-1]:
        made.append(layer(read(layer)))
    return read(model.model[-1])


def draw_statistics(part: torch.nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
    power = inputs[0].square().mean(dim=(0, 2, 3)).clamp(min=1e-3)
    part.running_mean = power.sqrt() * torch.empty_like(power).uniform_(-0.3, 0.3)
    part.running_var = power * torch.empty_like(power).uniform_(0.5, 2.0)
    torch.nn.init.uniform_(part.weight, 0.7, 1.3)
    torch.nn.init.uniform_(part.bias, 0.5, 1.5)  # below, SiLU amplifies


def draw_output(gain: float, part: torch.nn.Conv2d, inputs: tuple[torch.Tensor]) -> None:
    strength = float(inputs[0].square().mean()) ** 0.5 * part.in_channels**0.5
    torch.nn.init.normal_(part.weight, 0.0, gain / strength)
    torch.nn.init.normal_(part.bias, 0.0, gain)


serve(make)
