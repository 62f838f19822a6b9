# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tiny ONNX models that return known numbers, whatever the picture."""

import hashlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

COCO = {
    "task": "pose",
    "names": "{0: 'person'}",
    "kpt_shape": "[17, 3]",
    "imgsz": "[64, 96]",
    "stride": "32",
}


def constant_model(
    output,
    *,
    metadata=COCO,
    input_shape=("batch", 3, 64, 96),
    output_shape=None,
    dtype=np.float32,
    opset=17,
):
    """Return a model whose output is `output`, (C, A), for every picture of a batch."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    constants = {
        "weight": np.zeros((1, 3, 1, 1), dtype),  # makes the output depend on the picture
        "shape": np.array([0, 1, 1], np.int64),
        "values": np.asarray(output, dtype)[None],
    }
    nodes = [
        helper.make_node("Conv", ["images", "weight"], ["features"]),
        helper.make_node("GlobalAveragePool", ["features"], ["zero"]),
        helper.make_node("Reshape", ["zero", "shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "values"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", kind, input_shape)],
        [
            helper.make_tensor_value_info(
                "output0", kind, output_shape or (input_shape[0], *np.shape(output))
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model


def rtmo(people, *, dtype=np.float32, count="people", swap=False, blue=1):
    """Return a graph of two outputs: `people` are (x1 y1 x2 y2 score, K x 3 keypoints).

    `blue` times the mean of the picture's first plane is added to the scores, so that colour and
    range can be told.
    """
    dets, keypoints = (np.asarray(part, dtype)[None] for part in people)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Slice", ["input", "zero", "one", "one"], ["blue"]),
        helper.make_node("GlobalAveragePool", ["blue"], ["mean"]),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"]),
        helper.make_node("Mul", ["flat", "where"], ["added"]),
        helper.make_node("Add", ["boxes", "added"], ["scored"]),
        helper.make_node("Compress", ["scored", "found"], ["dets"], axis=1)
        if count == "people"  # as many as were found
        else helper.make_node("Identity", ["scored"], ["dets"]),
        helper.make_node("Mul", ["mean", "nothing"], ["none"]),
        helper.make_node("Add", ["points", "none"], ["keypoints"]),
    ]
    weights = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "shape": np.array([0, 1, 1]),
        "found": np.full(dets.shape[1], True),
        "where": np.array([0, 0, 0, 0, blue], dtype),
        "nothing": np.array(0, dtype),
        "boxes": dets,
        "points": keypoints,
    }
    outputs = [
        helper.make_tensor_value_info("dets", kind, ("batch", count, 5)),
        helper.make_tensor_value_info("keypoints", kind, ("batch", count, *keypoints.shape[2:])),
    ]
    graph = helper.make_graph(
        nodes,
        "rtmo",
        [helper.make_tensor_value_info("input", kind, ("batch", 3, 64, 96))],
        outputs[::-1] if swap else outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)


def random_raw(classes, kpt_shape, anchors, seed=0):
    """Return a raw output, (4 + classes + K * D, anchors), with scores in [0, 1]."""
    generator = np.random.default_rng(seed)
    raw = generator.uniform(0, 600, (4 + classes + kpt_shape[0] * kpt_shape[1], anchors))
    raw[4 : 4 + classes] = generator.uniform(0, 1, (classes, anchors))
    return raw.astype(np.float32)


def run(model, pictures):
    """Return the only output of a model, run by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model if isinstance(model, str) else model.SerializeToString(),
        providers=["CPUExecutionProvider"],
    )
    (output,) = session.run(None, {session.get_inputs()[0].name: pictures})
    return output


def digest_of(graph):
    """Return a digest of what makes a graph; onnx's and numpy's versions make no difference."""
    digest = hashlib.sha256()
    for part in _described(graph):
        digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:16]


def _described(graph):
    yield [(opset.domain, opset.version) for opset in graph.opset_import]
    yield from (value.SerializeToString() for value in (*graph.graph.input, *graph.graph.output))
    for node in graph.graph.node:
        attributes = sorted(attribute.SerializeToString() for attribute in node.attribute)
        yield (node.op_type, list(node.input), list(node.output), attributes)
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(np.float64).ravel()
        content = float(
            values @ np.cos(np.arange(values.size))
        )  # rounded: the last bits may differ
        yield (tensor.name, list(tensor.dims), tensor.data_type, f"{content:.3g}")
