# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""INT8: a prepared graph whose convolutions are quantized, calibrated with pictures."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx

from kp_pose_ros.errors import EngineError, SettingsError
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.models.cache import cache_folder, cached
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.poses import Floats

_log = logging.getLogger(__name__)
_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def quantized_graph(model: PoseModel, size: Size) -> Path:
    """Return the calibrated graph of a model for inputs of (height, width).

    Raises:
        EngineError: `calibrate` has not made it yet.
    """
    path = cache_folder() / _file_name(model, size)
    if path.is_file():
        return path
    raise EngineError(
        f"precision int8 needs a calibrated graph of {model.path} for {size[0]} x {size[1]}, and "
        f"there is none: run `kp_pose build {model.path} --imgsz {size[0]} {size[1]} --int8 "
        "--calibration DIR` with a folder of pictures as the camera sees them"
    )


def calibrate(model: PoseModel, size: Size, folder: Path) -> Path:
    """Make the calibrated graph of a model anew, with the pictures in `folder`.

    Raises:
        SettingsError: there is no picture in `folder`.
        EngineError: ONNX Runtime cannot quantize the graph.
        ModelError: the model cannot be prepared for that size.
    """
    pictures = sorted(path for path in folder.glob("*") if path.suffix.lower() in _ENDINGS)
    if not pictures:
        raise SettingsError(
            f"the calibration folder {folder} holds no picture: expected some hundred "
            f"{', '.join(sorted(_ENDINGS))} files"
        )
    graph = model.graph(size)
    name = _file_name(model, size)
    (cache_folder() / name).unlink(missing_ok=True)
    _log.info("calibrating %s with %d pictures", model.path, len(pictures))
    return cached(name, lambda: _quantize(graph, size, pictures))


def _file_name(model: PoseModel, size: Size) -> str:
    return model.graph(size).name.replace("-fp32-", "-int8-")


def _quantize(graph: Path, size: Size, pictures: list[Path]) -> bytes:
    from onnxruntime import quantization as ort  # only calibration needs ONNX Runtime

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / graph.name
        try:
            ort.quantize_static(
                graph,
                target,
                _Pictures(graph, size, pictures),
                quant_format=ort.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=_last_convolutions(graph),
                per_channel=True,
                activation_type=ort.QuantType.QInt8,
                weight_type=ort.QuantType.QInt8,
                # What TensorRT takes: zero points of 0, and no INT32 bias.
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                },
            )
        except Exception as error:  # ONNX Runtime has no base class for its errors
            raise EngineError(
                f"ONNX Runtime cannot quantize {graph} ({error}): use precision fp16"
            ) from error
        return target.read_bytes()


def _last_convolutions(graph: Path) -> list[str]:
    """Return the convolutions behind which nothing is learned any more.

    What they give is read as it is: scores and coordinates. Left as they are, they halve the error
    of the keypoints and cost next to nothing.
    """
    last = []
    in_front_of_learned: set[str] = set()
    for node in reversed(onnx.load(graph).graph.node):
        is_followed = not in_front_of_learned.isdisjoint(node.output)
        is_convolution = node.op_type == "Conv"
        if is_convolution and not is_followed:
            last.append(node.name)
        # The one without a bias decodes boxes and is fixed.
        if is_followed or (is_convolution and len(node.input) == 3):
            in_front_of_learned.update(node.input)
    return last


class _Pictures:
    """A calibration data reader: the pictures, letterboxed as the engines do it, one by one."""

    def __init__(self, graph: Path, size: Size, paths: list[Path]) -> None:
        self._input = onnx.load(graph, load_external_data=False).graph.input[0].name
        self._size = size
        self._paths = iter(paths)

    def get_next(self) -> dict[str, Floats] | None:
        """Return the next network input, or None after the last."""
        for path in self._paths:
            picture = cv2.imread(str(path))
            if picture is not None:
                return {self._input: self._network(picture)}
            _log.warning("calibration picture %s cannot be read: left out", path)
        return None

    def _network(self, picture: npt.NDArray[Any]) -> Floats:
        height, width = picture.shape[:2]
        letterbox = Letterbox.fit((height, width), self._size)
        canvas = letterbox.canvas()
        letterbox.apply(picture, canvas)
        planes = canvas[None, ..., ::-1].transpose(0, 3, 1, 2)
        network: Floats = np.multiply(planes, np.float32(1 / 255), order="C")
        return network
