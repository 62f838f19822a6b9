# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose head as ONNX nodes: three branches per scale, and their decoding.

The output is that of ultralytics' own export, `B x (4 + nc + K*D) x A`: box centre and size, class
scores, keypoints, in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kp_pose_ros.errors import ModelError
from kp_pose_ros.models.checkpoint.convolution import Feature
from kp_pose_ros.models.checkpoint.layers import emit
from kp_pose_ros.models.checkpoint.modules import Module
from kp_pose_ros.models.graph import GraphBuilder


@dataclass(frozen=True)
class Anchors:
    """Positions and sizes of the cells of all scales; scale by scale, row by row."""

    centres: npt.NDArray[np.float32]  # (2, A) x and y in pixels
    strides: npt.NDArray[np.float32]  # (1, A) side of a cell in pixels

    @property
    def count(self) -> int:
        """A, the number of cells."""
        return self.strides.size


@dataclass(frozen=True)
class Decoding:
    """How a head encodes the positions of keypoints."""

    branches: tuple[str, ...]  # the parts of the branch that outputs them
    scale: float  # the number of cells of a value of 1
    shift: float  # the distance of the value 0 from a cell's centre, in cells up and left


HEADS = {
    "Pose": Decoding(("cv4",), scale=2, shift=0.5),  # YOLOv8, YOLO11, YOLO12
    "Pose26": Decoding(("cv4", "cv4_kpts"), scale=1, shift=0),  # YOLO26
}


def pose_head(
    graph: GraphBuilder,
    head: Module,
    features: Sequence[Feature],
    kpt_shape: tuple[int, int],
    network_hw: tuple[int, int],
) -> tuple[int, int]:
    """Add the head's nodes, which compute `output0`; return its shape (4 + nc + K*D, A).

    Raises:
        ModelError: if the head does not match the feature maps.
    """
    classes, bins = head.integer("nc"), head.integer("reg_max")
    numbers = kpt_shape[0] * kpt_shape[1]
    # A fused end-to-end model no longer has the branches that output a person several times.
    prefix = "" if "cv2" in head.children else "one2one_"

    def branch(channels: int, *names: str) -> str:
        return _branch(graph, [head.child(f"{prefix}{name}") for name in names], features, channels)

    anchors = _anchors(head, features, network_hw)
    distances = branch(4 * bins, "cv2")
    scores = branch(classes, "cv3")
    keypoints = branch(numbers, *HEADS[head.kind].branches)
    parts = [
        _boxes(graph, head, distances, bins, anchors),
        graph.add("Sigmoid", [scores], f"{head.path}.scores"),
        _keypoints(graph, head, keypoints, kpt_shape, anchors),
    ]
    graph.add("Concat", parts, head.path, output="output0", axis=1)
    return 4 + classes + numbers, anchors.count


def _anchors(head: Module, features: Sequence[Feature], network_hw: tuple[int, int]) -> Anchors:
    strides = head.tensor("stride", dimensions=1)
    if len(strides) != len(features) or not all(
        stride >= 1 and (stride * feature.height, stride * feature.width) == network_hw
        for stride, feature in zip(strides, features, strict=True)
    ):
        sizes = ", ".join(f"{feature.height}x{feature.width}" for feature in features)
        raise ModelError(
            f"the head's strides {str(strides.tolist())[:80]} do not fit its feature maps of "
            f"{sizes} for an input of {network_hw[0]}x{network_hw[1]}"
        )
    centres, cell_sizes = [], []
    for stride, feature in zip(strides, features, strict=True):
        rows, columns = np.mgrid[: feature.height, : feature.width].astype(np.float32) + 0.5
        centres.append(np.stack([columns.ravel(), rows.ravel()]) * stride)
        cell_sizes.append(np.full((1, rows.size), stride, np.float32))
    return Anchors(np.concatenate(centres, axis=1), np.concatenate(cell_sizes, axis=1))


def _branch(
    graph: GraphBuilder, chain: Sequence[Module], features: Sequence[Feature], channels: int
) -> str:
    """Run a branch's parts, each with a child for every scale; return (B, channels, A)."""
    for part in chain:
        if len(part.children) != len(features):
            raise ModelError(
                f"{part.path} has {len(part.children)} branches for {len(features)} scales"
            )
    last = chain[-1]
    scales = []
    for place, feature in enumerate(features):
        made = feature
        for part in chain:
            made = emit(graph, list(part.children.values())[place], made)
        expected = (channels, feature.height, feature.width)
        if made.shape != expected:
            raise ModelError(f"{last.path} makes a map of {made.shape}, expected {expected}")
        scales.append(graph.reshape(made.name, f"{last.path}.{place}", 0, channels, feature.cells))
    return graph.add("Concat", scales, last.path, axis=2)


def _boxes(graph: GraphBuilder, head: Module, distances: str, bins: int, anchors: Anchors) -> str:
    """Return (B, 4, A) centre and size of boxes, given the distances of their sides in cells."""
    path = f"{head.path}.dfl"
    sides = distances if bins == 1 else _means(graph, head.child("dfl"), distances, bins, anchors)
    strides = graph.constant(anchors.strides, "strides")
    half_strides = graph.constant(anchors.strides / 2, "half_strides")
    left_top, right_bottom = graph.split(sides, path, [2, 2], axis=1)
    shift = graph.add("Sub", [right_bottom, left_top], path)
    shift = graph.add("Mul", [shift, half_strides], path)
    centre = graph.add("Add", [shift, graph.constant(anchors.centres, "centres")], path)
    size = graph.add("Add", [left_top, right_bottom], path)
    size = graph.add("Mul", [size, strides], path)
    return graph.add("Concat", [centre, size], path, axis=1)


def _means(graph: GraphBuilder, dfl: Module, distances: str, bins: int, anchors: Anchors) -> str:
    """Return (B, 4, A) distances, each the mean of a distribution over `bins` whole cells.

    Generalized Focal Loss, arXiv 2006.04388.
    """
    if dfl.kind != "DFL":
        raise ModelError(f"{dfl.path} is a {dfl.kind[:40]!r}, expected a DFL")
    weight = dfl.child("conv").tensor("weight", dimensions=4)
    if weight.shape != (1, bins, 1, 1):
        raise ModelError(f"{dfl.path} has weights of shape {weight.shape}, expected 1x{bins}x1x1")
    path, count = dfl.path, anchors.count
    by_side = graph.reshape(distances, path, 0, 4, bins, count)
    by_bin = graph.add("Transpose", [by_side], path, perm=[0, 2, 1, 3])
    chances = graph.add("Softmax", [by_bin], path, axis=1)
    mean = graph.add("Conv", [chances, graph.constant(weight, f"{path}.weight")], path)
    return graph.reshape(mean, path, 0, 4, count)


def _keypoints(
    graph: GraphBuilder,
    head: Module,
    values: str,
    kpt_shape: tuple[int, int],
    anchors: Anchors,
) -> str:
    """Return (B, K*D, A): x and y in pixels, and the score through the sigmoid if there is one."""
    (count, dimensions), decoding, path = kpt_shape, HEADS[head.kind], f"{head.path}.keypoints"
    strides = graph.constant(anchors.strides * decoding.scale, "keypoint_strides")
    origins = graph.constant(anchors.centres - anchors.strides * decoding.shift, "origins")
    points = graph.reshape(values, path, 0, count, dimensions, anchors.count)
    if dimensions == 3:
        points, scores = graph.split(points, path, [2, 1], axis=2)
    points = graph.add("Mul", [points, strides], path)
    points = graph.add("Add", [points, origins], path)
    if dimensions == 3:
        scores = graph.add("Sigmoid", [scores], path)
        points = graph.add("Concat", [points, scores], path, axis=2)
    return graph.reshape(points, path, 0, count * dimensions, anchors.count)
