# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layers of YOLO networks as ONNX nodes: LAYERS has a function for each class."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kp_pose_ros.errors import ModelError, brief
from kp_pose_ros.models.checkpoint.convolution import Feature, convolve, window_size
from kp_pose_ros.models.checkpoint.modules import Module
from kp_pose_ros.models.graph import GraphBuilder

Emitter = Callable[[GraphBuilder, Module, Feature], Feature]

_MAX_POOLINGS = 8
_MAX_UPSCALE = 8


def emit(graph: GraphBuilder, module: Module, *inputs: Feature) -> Feature:
    """Add the nodes of a layer; return its output.

    Raises:
        ModelError: if the layer is of an unknown class, or does not match its inputs.
    """
    if module.kind == "Concat":
        module.expect(d=1)
        return _join(graph, module, inputs)
    if module.kind not in LAYERS:
        raise ModelError(
            f"layer {module.path} is a {module.kind[:40]!r}, which is not supported: export the "
            "model to ONNX with ultralytics, and use that file"
        )
    if len(inputs) != 1:
        raise ModelError(
            f"layer {module.path} ({module.kind}) takes one input, but gets {len(inputs)}"
        )
    return LAYERS[module.kind](graph, module, inputs[0])


def _silu(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    gate = graph.add("Sigmoid", [x.name], module.path)
    return x.renamed(graph.add("Mul", [x.name, gate], module.path))


def _conv(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """Convolution, batch normalisation (missing if the model was saved fused), activation."""
    x = convolve(graph, module.child("conv"), x, module.children.get("bn"))
    return emit(graph, module.child("act"), x)


def _sequential(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    for child in module.children.values():
        x = emit(graph, child, x)
    return x


def _activation(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """Add an activation that is one ONNX operator."""
    operator, attributes = _ACTIVATIONS[module.kind]
    values: dict[str, Any] = {
        name: module.number(value) if isinstance(value, str) else value
        for name, value in attributes.items()
    }
    return x.renamed(graph.add(operator, [x.name], module.path, **values))


def _clip(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    bounds = [graph.number(module.number(name)) for name in ("min_val", "max_val")]
    return x.renamed(graph.add("Clip", [x.name, *bounds], module.path))


def _prelu(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    slopes = module.tensor("weight", dimensions=1)
    if len(slopes) not in (1, x.channels):
        raise ModelError(f"layer {module.path} has {len(slopes)} slopes for {x.channels} channels")
    weights = graph.weight(f"{module.path}.weight", slopes.reshape(-1, 1, 1))
    return x.renamed(graph.add("PRelu", [x.name, weights], module.path))


def _softplus(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    module.expect(beta=1)
    return _activation(graph, module, x)


def _mish(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """x tanh(log(1 + exp(x)))."""
    gate = graph.add("Softplus", [x.name], module.path)
    gate = graph.add("Tanh", [gate], module.path)
    return x.renamed(graph.add("Mul", [x.name, gate], module.path))


def _gelu(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """x (1 + erf(x / sqrt(2))) / 2."""
    module.expect(approximate="none")
    path = module.path
    gate = graph.add("Mul", [x.name, graph.number(2**-0.5)], path)
    gate = graph.add("Add", [graph.add("Erf", [gate], path), graph.number(1)], path)
    half = graph.add("Mul", [x.name, graph.number(0.5)], path)
    return x.renamed(graph.add("Mul", [half, gate], path))


def _upsample(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    module.expect(size=None)
    mode = module.attributes.get("mode")
    if not isinstance(mode, str) or mode not in _RESIZES:
        raise ModelError(
            f"layer {module.path} upsamples in the mode {brief(mode)}, expected one of "
            f"{', '.join(_RESIZES)}"
        )
    scale = module.number("scale_factor")
    if scale not in range(1, _MAX_UPSCALE + 1):
        raise ModelError(
            f"layer {module.path} upsamples by {scale}, expected an integer up to {_MAX_UPSCALE}"
        )
    attributes: dict[str, Any] = dict(_RESIZES[mode])
    if mode != "nearest" and module.attributes.get("align_corners"):
        attributes["coordinate_transformation_mode"] = "align_corners"
    scales = graph.constant(np.array([1, 1, scale, scale], np.float32), f"{module.path}.scales")
    name = graph.add("Resize", [x.name, "", scales], module.path, **attributes)
    return Feature(name, x.channels, x.height * int(scale), x.width * int(scale))


def _max_pool(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    module.expect(dilation=1, ceil_mode=False, return_indices=False)
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


def _bottleneck(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    y = emit(graph, module.child("cv2"), emit(graph, module.child("cv1"), x))
    return _sum(graph, module, x, y) if module.flag("add") else y


def _c2f(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """Half of the channels are passed on; half run through a chain, and every step is kept."""
    parts = _halve(graph, module, x)
    for block in module.child("m").children.values():
        parts.append(emit(graph, block, parts[-1]))
    return emit(graph, module.child("cv2"), _join(graph, module, parts))


def _c2(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """Half of the channels run through a chain, half are passed on."""
    x, bypass = _halve(graph, module, x)
    chain = emit(graph, module.child("m"), x)
    return emit(graph, module.child("cv2"), _join(graph, module, [chain, bypass]))


def _c3(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """As C2, where each half comes from a convolution of its own."""
    chain = emit(graph, module.child("m"), emit(graph, module.child("cv1"), x))
    bypass = emit(graph, module.child("cv2"), x)
    return emit(graph, module.child("cv3"), _join(graph, module, [chain, bypass]))


def _a2c2f(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """A chain in which every step is kept; the residual may have a weight per channel."""
    parts = [emit(graph, module.child("cv1"), x)]
    for block in module.child("m").children.values():
        parts.append(emit(graph, block, parts[-1]))
    y = emit(graph, module.child("cv2"), _join(graph, module, parts))
    if module.tensors.get("gamma") is None:
        return y
    gamma = module.tensor("gamma", dimensions=1)
    if len(gamma) != y.channels:
        raise ModelError(f"layer {module.path} weights {len(gamma)} of {y.channels} channels")
    weights = graph.weight(f"{module.path}.gamma", gamma.reshape(1, -1, 1, 1))
    y = y.renamed(graph.add("Mul", [y.name, weights], module.path))
    return _sum(graph, module, x, y)


def _sppf(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    poolings = module.integer("n", default=3)  # older versions have three, without the attribute
    pool = module.child("m")
    if poolings > _MAX_POOLINGS or pool.kind != "MaxPool2d":
        raise ModelError(
            f"layer {module.path} pools {poolings} times with a {pool.kind[:40]!r}, expected a "
            f"MaxPool2d up to {_MAX_POOLINGS} times"
        )
    parts = [emit(graph, module.child("cv1"), x)]
    for _ in range(poolings):
        parts.append(emit(graph, pool, parts[-1]))
    y = emit(graph, module.child("cv2"), _join(graph, module, parts))
    return _sum(graph, module, x, y) if module.flag("add", default=False) else y


def _c2psa(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    bypass, x = _halve(graph, module, x)
    x = emit(graph, module.child("m"), x)
    return emit(graph, module.child("cv2"), _join(graph, module, [bypass, x]))


def _psa_block(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    keeps_input = module.flag("add")
    for part in ("attn", "ffn"):
        y = emit(graph, module.child(part), x)
        x = _sum(graph, module, x, y) if keeps_input else y
    return x


def _area_block(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    for part in ("attn", "mlp"):
        x = _sum(graph, module, x, emit(graph, module.child(part), x))
    return x


def _attention(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """Attention over all cells, and a 3x3 convolution of the values for their position."""
    path = module.path
    heads, key, value = (module.integer(name) for name in ("num_heads", "key_dim", "head_dim"))
    qkv = emit(graph, module.child("qkv"), x)
    _check_heads(module, x, qkv, heads, (key, key, value))
    grouped = graph.reshape(qkv.name, path, 0, heads, 2 * key + value, x.cells)
    mixed, v = _mix(graph, path, grouped, (key, key, value), rank=4)
    values = x.renamed(graph.reshape(v, path, 0, *x.shape))
    mixture = x.renamed(graph.reshape(mixed, path, 0, *x.shape))
    position = emit(graph, module.child("pe"), values)
    return emit(graph, module.child("proj"), _sum(graph, module, mixture, position))


def _area_attention(graph: GraphBuilder, module: Module, x: Feature) -> Feature:
    """As Attention, but cells attend only to those of their own area, a number of rows."""
    path = module.path
    heads, size, areas = (module.integer(name) for name in ("num_heads", "head_dim", "area"))
    qkv = emit(graph, module.child("qkv"), x)
    _check_heads(module, x, qkv, heads, (size, size, size))
    if areas < 1 or x.cells % areas:
        raise ModelError(f"layer {path} cannot split {x.cells} cells into {areas} areas")
    grouped = graph.reshape(qkv.name, path, 0, heads, 3 * size, areas, x.cells // areas)
    grouped = graph.add("Transpose", [grouped], path, perm=[0, 3, 1, 2, 4])
    maps = []
    for tensor in _mix(graph, path, grouped, (size, size, size), rank=5):
        name = graph.add("Transpose", [tensor], path, perm=[0, 2, 3, 1, 4])
        maps.append(x.renamed(graph.reshape(name, path, 0, *x.shape)))
    mixture, values = maps
    position = emit(graph, module.child("pe"), values)
    return emit(graph, module.child("proj"), _sum(graph, module, mixture, position))


def _check_heads(
    module: Module, x: Feature, qkv: Feature, heads: int, sizes: tuple[int, int, int]
) -> None:
    made = (heads * sum(sizes), heads * sizes[2])
    if 0 in (heads, *sizes) or made != (qkv.channels, x.channels):
        raise ModelError(
            f"layer {module.path} cannot split {qkv.channels} channels into {heads} heads of "
            f"{sizes[0]}, {sizes[1]} and {sizes[2]}"
        )


def _mix(
    graph: GraphBuilder, path: str, qkv: str, sizes: tuple[int, int, int], rank: int
) -> tuple[str, str]:
    """Return v softmax((q / sqrt(d))^T k)^T, and v; the last axis counts cells."""
    swapped = [*range(rank - 2), rank - 1, rank - 2]
    q, k, v = graph.split(qkv, path, sizes, axis=rank - 2)
    q = graph.add("Mul", [q, graph.number(sizes[0] ** -0.5)], path)
    q = graph.add("Transpose", [q], path, perm=swapped)
    weights = graph.add("Softmax", [graph.add("MatMul", [q, k], path)], path, axis=rank - 1)
    weights = graph.add("Transpose", [weights], path, perm=swapped)
    return graph.add("MatMul", [v, weights], path), v


def _halve(graph: GraphBuilder, module: Module, x: Feature) -> list[Feature]:
    """Run a layer's first convolution; return the two halves of its channels."""
    x = emit(graph, module.child("cv1"), x)
    half = x.channels // 2
    if x.channels % 2:
        raise ModelError(f"layer {module.path} ({module.kind}) cannot halve {x.channels} channels")
    names = graph.split(x.name, module.path, [half, half], axis=1)
    return [Feature(name, half, x.height, x.width) for name in names]


def _join(graph: GraphBuilder, module: Module, parts: Sequence[Feature]) -> Feature:
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


# Operator and its attributes: a number, or the name of an attribute of the layer.
_ACTIVATIONS: dict[str, tuple[str, dict[str, float | str]]] = {
    "ELU": ("Elu", {"alpha": "alpha"}),
    "Hardsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "Hardswish": ("HardSwish", {}),
    "LeakyReLU": ("LeakyRelu", {"alpha": "negative_slope"}),
    "ReLU": ("Relu", {}),
    "SELU": ("Selu", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Softplus": ("Softplus", {}),
    "Softsign": ("Softsign", {}),
    "Tanh": ("Tanh", {}),
}

_RESIZES: dict[str, dict[str, str | float]] = {
    "nearest": {
        "mode": "nearest",
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    },
    "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "bicubic": {
        "mode": "cubic",
        "coordinate_transformation_mode": "half_pixel",
        "cubic_coeff_a": -0.75,  # torch's
    },
}

LAYERS: dict[str, Emitter] = {
    **dict.fromkeys(_ACTIVATIONS, _activation),
    "A2C2f": _a2c2f,
    "AAttn": _area_attention,
    "ABlock": _area_block,
    "Attention": _attention,
    "Bottleneck": _bottleneck,
    "C2": _c2,
    "C2PSA": _c2psa,
    "C2f": _c2f,
    "C2fPSA": _c2f,
    "C3": _c3,
    "C3k": _c3,
    "C3k2": _c2f,
    "Conv": _conv,
    "Conv2d": convolve,
    "DWConv": _conv,
    "GELU": _gelu,
    "Hardtanh": _clip,
    "Identity": lambda _graph, _module, x: x,
    "MaxPool2d": _max_pool,
    "Mish": _mish,
    "PReLU": _prelu,
    "PSABlock": _psa_block,
    "ReLU6": _clip,
    "SPPF": _sppf,
    "Sequential": _sequential,
    "SiLU": _silu,
    "Softplus": _softplus,
    "Upsample": _upsample,
}
