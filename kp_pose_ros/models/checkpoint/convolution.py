# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Feature maps, and convolutions as ONNX nodes with the batch normalisation folded in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.modules import Module
from kp_pose_ros.models.graph import GraphBuilder

Weights = npt.NDArray[np.float32]

# Layers that upsample or concatenate have no weights, so a small file could ask for any size.
_MAX_SIZE = 1 << 16


@dataclass(frozen=True)
class Feature:
    """A feature map: the name of its value in the graph, and its shape without the batch."""

    name: str
    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if max(self.shape) > _MAX_SIZE:
            raise ModelError(f"{self.name} makes a map of {self.shape}, larger than any known one")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def cells(self) -> int:
        """The number of cells of the map."""
        return self.height * self.width

    def renamed(self, name: str) -> Feature:
        """Return a feature map of the same shape, made by another node."""
        return replace(self, name=name)


def convolve(
    graph: GraphBuilder, module: Module, feature: Feature, batch_norm: Module | None = None
) -> Feature:
    """Add a `Conv2d`, and the `BatchNorm2d` after it if there is one, as a single Conv node.

    Raises:
        ModelError: if the layer does not fit the feature map.
    """
    module.expect(padding_mode="zeros")
    weight, factors = module.stored("weight", dimensions=4), None
    bias = module.tensor("bias", dimensions=1) if "bias" in module.tensors else None
    if bias is not None and len(bias) != len(weight):
        raise ModelError(f"layer {module.path} adds {len(bias)} numbers to {len(weight)} channels")
    if batch_norm is not None:
        factors, bias = fold_batch_norm(len(weight), bias, batch_norm)
    height, width = _output_size(module, weight, feature)

    inputs = [feature.name, graph.weight(f"{module.path}.weight", weight, factors)]
    if bias is not None:
        inputs.append(graph.weight(f"{module.path}.bias", bias))
    vertical, horizontal = module.pair("padding")
    name = graph.add(
        "Conv",
        inputs,
        module.path,
        kernel_shape=weight.shape[2:],
        strides=module.pair("stride"),
        pads=[vertical, horizontal, vertical, horizontal],
        dilations=module.pair("dilation"),
        group=module.integer("groups"),
    )
    return Feature(name, len(weight), height, width)


def fold_batch_norm(
    channels: int, bias: Weights | None, batch_norm: Module
) -> tuple[Weights, Weights]:
    """Return the factors of the weights and the bias of a convolution that includes it.

    gamma * (conv(x) - mean) / sqrt(variance + eps) + beta is a convolution whose weights are scaled
    by gamma / sqrt(variance + eps), one factor an output channel.

    Raises:
        ModelError: if the normalisation has another number of channels than the convolution.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (batch_norm.tensor(name, dimensions=1) for name in names)
    if not all(len(values) == channels for values in (gamma, beta, mean, variance)):
        raise ModelError(f"layer {batch_norm.path} does not have the {channels} channels before it")
    # In this order of operations the results equal those of torch to the last bit, so that a graph
    # differs from that of ultralytics only by rounding in the engine.
    with np.errstate(all="ignore"):  # `GraphBuilder.weight` checks that they are finite
        inverse = np.float32(1) / np.sqrt(variance + np.float32(batch_norm.number("eps")))
        shift = -mean if bias is None else bias - mean
        return gamma * inverse, shift * inverse * gamma + beta


def window_size(
    module: Module, feature: Feature, kernel: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    """Return the (height, width) of a feature map after a sliding window, in cells.

    Raises:
        ModelError: if the window is not possible on the map.
    """
    sizes = []
    for size, length, spread, step, pad in zip(
        (feature.height, feature.width),
        kernel,
        dilation,
        module.pair("stride"),
        module.pair("padding"),
        strict=True,
    ):
        extent = spread * (length - 1) + 1
        # With padding as large as the window, the map could grow without limit.
        if min(length, spread, step) < 1 or pad >= extent or size + 2 * pad < extent:
            raise ModelError(
                f"layer {module.path} ({module.kind}) has a window that does not fit its input of "
                f"{feature.height}x{feature.width}"
            )
        sizes.append((size + 2 * pad - extent) // step + 1)
    return sizes[0], sizes[1]


def _output_size(module: Module, weight: Weights, feature: Feature) -> tuple[int, int]:
    outputs, inputs_a_group, rows, columns = weight.shape
    groups = module.integer("groups")
    if groups < 1 or outputs % groups or inputs_a_group * groups != feature.channels:
        raise ModelError(
            f"layer {module.path} ({module.kind}) takes {inputs_a_group * groups} channels in "
            f"{groups} groups, but gets {feature.channels}"
        )
    return window_size(module, feature, (rows, columns), module.pair("dilation"))
