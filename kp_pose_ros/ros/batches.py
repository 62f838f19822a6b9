# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the engine works on: images out of the mailbox, begun early and ended in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kp_pose_ros.errors import KpPoseError
from kp_pose_ros.image.frame import Frame
from kp_pose_ros.inference.estimator import Pending, PoseEstimator
from kp_pose_ros.poses import Poses
from kp_pose_ros.ros.camera import Camera
from kp_pose_ros.ros.mailbox import Mailbox

# Of different cameras: the camera, the message and the frame in it.
Images = list[tuple[Camera, Any, Frame]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that the engine works on, and their poses to come."""

    images: Images
    poses: Pending[list[Poses]]


class Batches:
    """Keeps the engine at work: where it can, the next batch begins before this one has ended."""

    def __init__(
        self,
        mailbox: Mailbox[Any],
        estimator: PoseEstimator,
        read: Callable[[list[tuple[str, Any]]], Images],
        fail: Callable[[Images, KpPoseError], None],
    ) -> None:
        """Begin with nothing.

        Args:
            mailbox: where the messages come from.
            estimator: whose engine works.
            read: returns the images in messages, by camera's name; those that can be read.
            fail: called with the images that the engine did not take, and its reason.
        """
        self._mailbox = mailbox
        self._estimator = estimator
        self._read = read
        self._fail = fail
        self._limit = 2 if estimator.engine.overlaps else 1
        self._under_way: deque[Batch] = deque()

    def __iter__(self) -> Iterator[Batch]:
        """Give each batch when it is time to wait for its poses, until the mailbox is closed."""
        while (begun := self._begin()) or self._under_way:
            if begun is not None:
                self._under_way.append(begun)
            if begun is None or len(self._under_way) == self._limit:
                yield self._under_way.popleft()

    def _begin(self) -> Batch | None:
        """Wait for images that can be read, and submit them.

        None if a batch under way is done before, or the mailbox is closed.
        """
        engine = self._estimator.engine
        until = self._under_way[0].poses.done if self._under_way else None
        while taken := self._mailbox.take(engine.max_batch, until):
            images = self._read(taken)
            try:
                if images:
                    frames = [frame for _, _, frame in images]
                    return Batch(images, self._estimator.submit(frames))
            except KpPoseError as error:
                self._fail(images, error)
        return None
