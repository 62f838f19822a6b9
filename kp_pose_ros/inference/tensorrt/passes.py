# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a batch of frames of any sizes goes through networks of fixed sizes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.letterbox import Letterbox
from kp_pose_ros.inference.tensorrt.network import Network
from kp_pose_ros.models.model import Size


@dataclass(frozen=True, slots=True)
class Pass:
    """The frames that go through a network together.

    Attributes:
        network: the network.
        indices: which frames of the batch they are.
        letterboxes: the geometry of each.
        start: where their outputs start in the slot's memory.
    """

    network: Network
    indices: list[int]
    letterboxes: list[Letterbox]
    start: int

    @property
    def pictures(self) -> int:
        """How many pictures the network runs."""
        tensors = self.network.tensors
        return tensors.batch if tensors.has_fixed_batch else len(self.indices)

    @property
    def stop(self) -> int:
        """Where their outputs end."""
        return self.start + self.pictures * self.network.output_bytes


def passes_of(
    frames: Sequence[Frame], to_size: Callable[[Size], Size], network_of: Callable[[Size], Network]
) -> Iterator[Pass]:
    """Sort frames by network and cut them into what each takes at once.

    Args:
        frames: the batch.
        to_size: the network's (height, width) for frames of (height, width).
        network_of: the network for inputs of (height, width).
    """
    by_size: defaultdict[Size, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        by_size[to_size(frame.size)].append(index)
    start = 0
    for size, indices in by_size.items():
        network = network_of(size)
        batch = network.tensors.batch
        for first in range(0, len(indices), batch):
            chunk = indices[first : first + batch]
            letterboxes = [Letterbox.fit(frames[index].size, size) for index in chunk]
            yield (one := Pass(network, chunk, letterboxes, start))
            start = one.stop
