# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A tiny pose model whose one row says which picture it saw: its mean red, green and blue."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {
    "task": "pose",
    "names": "{0: 'person'}",
    "kpt_shape": "[17, 3]",
    "imgsz": "[64, 96]",
    "stride": "32",
    "end2end": "True",
}


def write_echo_model(path, *, batch="batch", sides=("height", "width"), channels=3):
    """Write the model to an ONNX file and return its path; with one channel it sees grey."""
    constants = {
        "shape": np.array([0, 1, channels], np.int64),
        "pads": np.array([0, 0, 0, 0, 0, 57 - channels], np.int64),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["colour"]),
        helper.make_node("Pad", ["colour", "pads"], ["output0"]),
    ]
    source = helper.make_tensor_value_info("images", TensorProto.FLOAT, (batch, channels, *sides))
    target = helper.make_tensor_value_info("output0", TensorProto.FLOAT, (batch, 1, 57))
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "echo", [source], [target], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, METADATA)
    onnx.save(model, path)
    return path
