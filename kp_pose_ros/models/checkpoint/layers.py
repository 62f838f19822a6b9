# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layers of YOLOv8 and YOLO11 as ONNX nodes: one function a class, found by name in LAYERS."""

from collections.abc import Callable, Sequence

import numpy as np

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.convolution import Feature, convolve, window_size
from kp_pose_ros.models.checkpoint.modules import Module
from kp_pose_ros.models.graph import GraphBuilder

Inputs = Sequence[Feature]
Emitter = Callable[[GraphBuilder, Module, Inputs], Feature]

_MAX_POOLINGS = 8
_MAX_UPSCALE = 8


def emit(graph: GraphBuilder, module: Module, *inputs: Feature) -> Feature:
    """Add the nodes of a layer; return what it makes of its inputs.

    Raises:
        ModelError: if the layer is of an unknown class, or does not fit its inputs.
    """
    check_kind(module)
    return LAYERS[module.kind](graph, module, inputs)


def check_kind(module: Module) -> None:
    """Refuse a layer that `emit` cannot add.

    Raises:
        ModelError: if the layer is of an unknown class.
    """
    if module.kind not in LAYERS:
        raise ModelError(
            f"layer {module.path} is a {module.kind[:40]!r}, which is none of YOLOv8-pose or "
            "YOLO11-pose: export the model to ONNX with ultralytics, and use that file"
        )


def _identity(_graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    return _only(module, inputs)


def _silu(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    x = _only(module, inputs)
    gate = graph.add("Sigmoid", [x.name], module.path)
    return x.renamed(graph.add("Mul", [x.name, gate], module.path))


def _conv2d(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    return convolve(graph, module, _only(module, inputs))


def _conv(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    """Convolution, batch normalisation (gone if the model was saved fused), activation."""
    x = convolve(graph, module.child("conv"), _only(module, inputs), module.children.get("bn"))
    return emit(graph, module.child("act"), x)


def _sequential(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    x = _only(module, inputs)
    for child in module.children.values():
        x = emit(graph, child, x)
    return x


def _concat(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    module.expect(d=1)
    return _join(graph, module, inputs)


def _upsample(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    module.expect(mode="nearest", size=None)
    x = _only(module, inputs)
    scale = module.number("scale_factor")
    if scale not in range(1, _MAX_UPSCALE + 1):
        raise ModelError(
            f"layer {module.path} enlarges by {scale}, expected a whole number up to {_MAX_UPSCALE}"
        )
    scales = graph.constant(np.array([1, 1, scale, scale], np.float32), f"{module.path}.scales")
    name = graph.add(
        "Resize",
        [x.name, "", scales],
        module.path,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return Feature(name, x.channels, x.height * int(scale), x.width * int(scale))


def _max_pool(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    module.expect(dilation=1, ceil_mode=False, return_indices=False)
    x = _only(module, inputs)
    kernel = module.pair("kernel_size")
    vertical, horizontal = module.pair("padding")
    name = graph.add(
        "MaxPool",
        [x.name],
        module.path,
        kernel_shape=kernel,
        strides=module.pair("stride"),
        pads=[vertical, horizontal, vertical, horizontal],
    )
    return Feature(name, x.channels, *window_size(module, x, kernel, (1, 1)))


def _bottleneck(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    x = _only(module, inputs)
    y = emit(graph, module.child("cv2"), emit(graph, module.child("cv1"), x))
    return _sum(graph, module, x, y) if module.flag("add") else y


def _c2f(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    """Half of the channels pass by, half run through a chain of which every step is kept."""
    parts = _halve(graph, module, emit(graph, module.child("cv1"), *inputs))
    for block in module.child("m").children.values():
        parts.append(emit(graph, block, parts[-1]))
    return emit(graph, module.child("cv2"), _join(graph, module, parts))


def _c3k(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    chain = emit(graph, module.child("m"), emit(graph, module.child("cv1"), *inputs))
    bypass = emit(graph, module.child("cv2"), *inputs)
    return emit(graph, module.child("cv3"), _join(graph, module, [chain, bypass]))


def _sppf(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    poolings = module.integer("n", default=3)  # older versions have three, without saying so
    pool = module.child("m")
    if poolings > _MAX_POOLINGS or pool.kind != "MaxPool2d":
        raise ModelError(
            f"layer {module.path} pools {poolings} times with a {pool.kind[:40]!r}, expected a "
            f"MaxPool2d up to {_MAX_POOLINGS} times"
        )
    parts = [emit(graph, module.child("cv1"), *inputs)]
    for _ in range(poolings):
        parts.append(emit(graph, pool, parts[-1]))
    y = emit(graph, module.child("cv2"), _join(graph, module, parts))
    return _sum(graph, module, inputs[0], y) if module.flag("add", default=False) else y


def _c2psa(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    bypass, x = _halve(graph, module, emit(graph, module.child("cv1"), *inputs))
    x = emit(graph, module.child("m"), x)
    return emit(graph, module.child("cv2"), _join(graph, module, [bypass, x]))


def _psa_block(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    x, keeps_input = _only(module, inputs), module.flag("add")
    for part in ("attn", "ffn"):
        y = emit(graph, module.child(part), x)
        x = _sum(graph, module, x, y) if keeps_input else y
    return x


def _attention(graph: GraphBuilder, module: Module, inputs: Inputs) -> Feature:
    """v softmax((q / sqrt(d))^T k)^T over all cells, and a 3x3 convolution of v for position."""
    x, path = _only(module, inputs), module.path
    heads, key, value = (module.integer(name) for name in ("num_heads", "key_dim", "head_dim"))
    qkv = emit(graph, module.child("qkv"), x)
    if 0 in (heads, key, value) or (heads * (2 * key + value), heads * value) != (
        qkv.channels,
        x.channels,
    ):
        raise ModelError(
            f"layer {path} cannot split {qkv.channels} channels into {heads} heads of "
            f"{key}, {key} and {value}"
        )
    grouped = graph.reshape(qkv.name, path, 0, heads, 2 * key + value, x.cells)
    q, k, v = graph.split(grouped, path, [key, key, value], axis=2)
    scale = graph.number(key**-0.5)
    q = graph.add("Transpose", [graph.add("Mul", [q, scale], path)], path, perm=[0, 1, 3, 2])
    weights = graph.add("Softmax", [graph.add("MatMul", [q, k], path)], path, axis=3)
    weights = graph.add("Transpose", [weights], path, perm=[0, 1, 3, 2])
    mixed = graph.add("MatMul", [v, weights], path)

    values = x.renamed(graph.reshape(v, path, 0, *x.shape))
    mixture = x.renamed(graph.reshape(mixed, path, 0, *x.shape))
    position = emit(graph, module.child("pe"), values)
    return emit(graph, module.child("proj"), _sum(graph, module, mixture, position))


def _only(module: Module, inputs: Inputs) -> Feature:
    if len(inputs) != 1:
        raise ModelError(
            f"layer {module.path} ({module.kind}) takes one input, but gets {len(inputs)}"
        )
    return inputs[0]


def _halve(graph: GraphBuilder, module: Module, x: Feature) -> list[Feature]:
    half = x.channels // 2
    if x.channels % 2:
        raise ModelError(f"layer {module.path} ({module.kind}) cannot halve {x.channels} channels")
    names = graph.split(x.name, module.path, [half, half], axis=1)
    return [Feature(name, half, x.height, x.width) for name in names]


def _join(graph: GraphBuilder, module: Module, parts: Inputs) -> Feature:
    sizes = {(part.height, part.width) for part in parts}
    if len(sizes) != 1:
        raise ModelError(f"layer {module.path} ({module.kind}) joins maps of unequal sizes {sizes}")
    name = graph.add("Concat", [part.name for part in parts], module.path, axis=1)
    return Feature(name, sum(part.channels for part in parts), parts[0].height, parts[0].width)


def _sum(graph: GraphBuilder, module: Module, a: Feature, b: Feature) -> Feature:
    if a.shape != b.shape:
        raise ModelError(
            f"layer {module.path} ({module.kind}) adds maps of {a.shape} and {b.shape}"
        )
    return a.renamed(graph.add("Add", [a.name, b.name], module.path))


LAYERS: dict[str, Emitter] = {
    "Attention": _attention,
    "Bottleneck": _bottleneck,
    "C2PSA": _c2psa,
    "C2f": _c2f,
    "C3k": _c3k,
    "C3k2": _c2f,
    "Concat": _concat,
    "Conv": _conv,
    "Conv2d": _conv2d,
    "DWConv": _conv,
    "Identity": _identity,
    "MaxPool2d": _max_pool,
    "PSABlock": _psa_block,
    "SPPF": _sppf,
    "Sequential": _sequential,
    "SiLU": _silu,
    "Upsample": _upsample,
}
