# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether TensorRT works here, and a stand-in for it where it does not, which uses torch.

It is the tests' fake TensorRT, which refuses what the real one refuses by its documentation, such
as addresses that are not aligned to 256 bytes. Its networks run with torch, on the stream and at
the addresses that TensorRT would have been given.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from onnx import TensorProto, helper

from kp_pose_ros.errors import EngineError

from .kernels import primary_context

FOLDERS = [Path(__file__).parent / "instead", Path(__file__).parents[2] / "test/inference/tensorrt"]


def why_no_tensorrt() -> str:
    """Return why TensorRT cannot build and load a network here, or an empty text."""
    try:
        from kp_pose_ros.inference.tensorrt.builder import BuildOptions, build_plan
    except ImportError as error:
        return f"TensorRT cannot be imported: {error}"
    with tempfile.TemporaryDirectory() as folder, primary_context():
        graph = Path(folder) / "graph.onnx"
        onnx.save(_one_layer(), graph)
        try:
            return _why_not_loaded(build_plan(graph, BuildOptions(1, "fp32")))
        except EngineError as error:
            return str(error)


def _one_layer() -> onnx.ModelProto:
    node = helper.make_node("Relu", ["images"], ["rows"])
    source, target = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 32, 32))
        for name in ("images", "rows")
    )
    graph = helper.make_graph([node], "one layer", [source], [target])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _why_not_loaded(plan: bytes) -> str:
    from kp_pose_ros.inference.tensorrt.bindings import LOGGER, new, trt

    engine = new(trt.Runtime).deserialize_cuda_engine(plan)
    return "" if engine else f"TensorRT does not load what it has built: {LOGGER.take_reasons()}"


def install() -> None:
    """Let this process and those that it starts find the stand-in instead of TensorRT."""
    # Else torch keeps 32 MB for each stream that it has used (PyTorch, "CUDA semantics").
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":0:0"
    sys.path[:0] = map(str, FOLDERS)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)


def make() -> ModuleType:
    """Return the stand-in, whose version says that it is one."""
    from fakes.tensorrt import make_tensorrt_on_a_driver

    stand_in: ModuleType = make_tensorrt_on_a_driver(_execute)
    vars(stand_in)["__version__"] += ", replaced by torch,"
    return stand_in


def _execute(engine: Any, source: Any, target: Any, stream: int) -> None:
    from .torch_graph import TorchGraph, on_stream, tensor_at

    with on_stream(stream):
        if not hasattr(engine, "torch_graph"):
            engine.torch_graph = TorchGraph(onnx.load_from_string(engine.graph))
        tensor_at(*target).copy_(engine.torch_graph(tensor_at(*source)))
