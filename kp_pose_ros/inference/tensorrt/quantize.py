# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""INT8: a float16 graph whose convolutions multiply 8-bit numbers, calibrated with pictures.

As NVIDIA advises (TensorRT documentation, "Explicit Quantization", Q/DQ layer-placement
recommendations): the inputs and the weights of convolutions are quantized, their outputs are not,
and what is between them stays float16. A Q/DQ pair with float16 scales needs opset 19.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from kp_pose_ros.errors import EngineError, FrameError, SettingsError
from kp_pose_ros.image.files import PICTURES, read_picture
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.host import NetworkInput
from kp_pose_ros.models.cache import cached, find_cached
from kp_pose_ros.models.graph import drop_unused_weights
from kp_pose_ros.models.model import PoseModel, Size
from kp_pose_ros.poses import Floats
from kp_pose_ros.timing import StageTimes

QUANTIZED_VERSION = 1  # increment it when the same model and pictures yield a different graph
_OPSET = 19  # the first whose QuantizeLinear takes float16
_LARGEST = 127  # of a symmetric int8
_log = logging.getLogger(__name__)


def quantized_graph(model: PoseModel, size: Size) -> Path:
    """Return the calibrated graph of a model for inputs of (height, width).

    Raises:
        EngineError: `calibrate` has not made it yet.
    """
    for path in find_cached(_file_name(model, size)):
        _log.warning(
            "precision int8 is experimental: keypoints move, and further in pictures unlike those "
            "of the calibration"
        )
        return path
    raise EngineError(
        f"precision int8 needs a calibrated graph of {model.path} for {size[0]} x {size[1]}, and "
        f"there is none: run `kp_pose build {model.path} --imgsz {size[0]} {size[1]} --int8 "
        "--calibration DIR` with a folder of pictures as the camera sees them"
    )


def calibrate(model: PoseModel, size: Size, folder: Path) -> Path:
    """Recreate the calibrated graph of a model with the pictures in `folder`.

    Raises:
        SettingsError: there is no picture in `folder`.
        EngineError: ONNX Runtime cannot run the graph.
        ModelError: the model cannot be prepared for that size.
    """
    pictures = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not pictures:
        raise SettingsError(
            f"the calibration folder {folder} has no pictures: expected a few hundred "
            f"{', '.join(sorted(PICTURES))} files"
        )
    _log.info("calibrating %s with %d pictures", model.path, len(pictures))

    def make() -> bytes:
        single, half = (onnx.load(model.graph(size, precision=each)) for each in ("fp32", "fp16"))
        picture = (model.metadata.channels, *size)
        largest = _largest_inputs(single, picture, pictures)
        return bytes(_quantize(half, largest).SerializeToString())

    return cached(_file_name(model, size), make, accept=lambda _sha256: False)


def _file_name(model: PoseModel, size: Size) -> str:
    name = model.graph(size).name
    return name.replace("-fp32-", "-int8-").replace(".onnx", f".{QUANTIZED_VERSION}.onnx")


def _largest_inputs(
    model: onnx.ModelProto, picture: tuple[int, int, int], paths: list[Path]
) -> list[float]:
    """Return the largest magnitude of each convolution's input in all pictures.

    `picture` is (channels, height, width) of the input of the float32 graph.
    """
    from onnxruntime import quantization as ort  # only calibration needs ONNX Runtime
    from onnxruntime.quantization.calibrate import create_calibrator

    names = [node.input[0] for node in model.graph.node if node.op_type == "Conv"]
    with tempfile.TemporaryDirectory() as scratch:
        source, augmented = Path(scratch) / "graph.onnx", Path(scratch) / "augmented.onnx"
        onnx.save(model, source)
        try:
            calibrator = create_calibrator(
                source,
                ["Conv"],
                str(augmented),
                calibrate_method=ort.CalibrationMethod.MinMax,
            )
            calibrator.collect_data(_Pictures(model.graph.input[0].name, picture, paths))
            ranges = calibrator.compute_data()
        except Exception as error:  # ONNX Runtime has no base class for its errors
            raise EngineError(
                f"ONNX Runtime cannot calibrate the graph ({error}): use precision fp16"
            ) from error
    return [float(np.abs(ranges[name].range_value).max()) for name in names]


def _quantize(model: onnx.ModelProto, largest: list[float]) -> onnx.ModelProto:
    """Return a float16 graph with Q/DQ at the inputs and weights of its convolutions.

    `largest` has the largest magnitude of each convolution's input, in order.
    """
    model = onnx.version_converter.convert_version(model, _OPSET)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    last = _last_convolutions(graph)
    limits = iter(largest)
    nodes: list[onnx.NodeProto] = []
    quantized: set[str] = set()
    for node in graph.node:
        limit = next(limits) if node.op_type == "Conv" else 0.0
        if limit > 0 and node.output[0] not in last and node.input[1] in weights:
            name = f"{node.input[0]}_int8"
            if name not in quantized:  # several convolutions may read it
                nodes += _input_pair(graph, node.input[0], name, limit)
                quantized.add(name)
            node.input[0] = name
            nodes.append(_weights(graph, weights[node.input[1]]))
            node.input[1] = nodes[-1].output[0]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused_weights(graph)
    return model


def _input_pair(
    graph: onnx.GraphProto, source: str, target: str, limit: float
) -> Iterator[onnx.NodeProto]:
    parameters = _parameters(graph, target, np.array(limit / _LARGEST))
    code = f"{target}_code"
    yield helper.make_node("QuantizeLinear", [source, *parameters], [code], name=code)
    yield helper.make_node("DequantizeLinear", [code, *parameters], [target], name=target)


def _weights(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> onnx.NodeProto:
    """Return the node that gives a convolution's weights, whose filters have a scale each."""
    values = numpy_helper.to_array(tensor).astype(np.float32)
    target = f"{tensor.name}_int8"
    limits = np.abs(values).reshape(len(values), -1).max(axis=1)
    scales = np.maximum(limits / _LARGEST, np.finfo(np.float16).tiny).astype(np.float16)
    parameters = _parameters(graph, target, scales)
    by_filter = scales.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    codes = np.clip(np.rint(values / by_filter), -_LARGEST, _LARGEST).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(codes, f"{target}_code"))
    inputs = [f"{target}_code", *parameters]
    return helper.make_node("DequantizeLinear", inputs, [target], name=target, axis=0)


def _parameters(graph: onnx.GraphProto, name: str, scale: npt.NDArray[Any]) -> list[str]:
    """Add a scale and a zero point of zeros, which is what TensorRT takes; return their names."""
    pairs: dict[str, npt.NDArray[Any]] = {
        f"{name}_scale": scale.astype(np.float16),
        f"{name}_zero": np.zeros(scale.shape, np.int8),
    }
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in pairs.items())
    return list(pairs)


def _last_convolutions(graph: onnx.GraphProto) -> set[str]:
    """Return the outputs of the convolutions that no learned layer follows.

    These are scores and coordinates. Not quantizing them halves the error of the keypoints and
    costs next to nothing.
    """
    last = set()
    in_front_of_learned: set[str] = set()
    for node in reversed(graph.node):
        is_followed = not in_front_of_learned.isdisjoint(node.output)
        is_convolution = node.op_type == "Conv"
        if is_convolution and not is_followed:
            last.add(node.output[0])
        # The one without a bias decodes boxes and is fixed.
        if is_followed or (is_convolution and len(node.input) == 3):
            in_front_of_learned.update(node.input)
    return last


class _Pictures:
    """A calibration data reader: the pictures as the engines feed them to a network, one by one."""

    def __init__(self, name: str, picture: tuple[int, int, int], paths: list[Path]) -> None:
        self._name = name
        self._input = NetworkInput(1, picture)
        self._paths = iter(paths)

    def get_next(self) -> dict[str, Floats] | None:
        """Return the next network input, or None after the last."""
        for path in self._paths:
            try:
                self._input.fill(0, Frame(read_picture(path)), StageTimes())
            except FrameError as error:
                _log.warning("calibration picture left out: %s", error)
            else:
                return {self._name: self._input.batch.copy()}
        return None
