# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated people whose identities and keypoints are known, seen through a noisy model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kp_pose_ros.poses import Poses, observed

WIDTH, HEIGHT = 1280, 720
NOBODY = -1

# COCO keypoints of a standing person who faces us, in body heights from the middle of the hips.
STANDING = np.array(
    (
        *((0.0, -0.38), (0.015, -0.4), (-0.015, -0.4), (0.035, -0.39), (-0.035, -0.39)),
        *((0.11, -0.29), (-0.11, -0.29), (0.13, -0.12), (-0.13, -0.12), (0.14, 0.03)),
        *((-0.14, 0.03), (0.06, 0.0), (-0.06, 0.0), (0.06, 0.24), (-0.06, 0.24)),
        *((0.06, 0.47), (-0.06, 0.47)),
    )
)
# How far each swings to and fro when walking; left and right in opposite phase.
SWING = np.array([0, 0, 0, 0, 0, 0, 0, 0.06, -0.06, 0.12, -0.12, 0, 0, -0.1, 0.1, -0.17, 0.17])


@dataclass(frozen=True)
class Walk:
    """One person's way: where the hips are at a time, and how tall the person appears."""

    path: Callable[[float], tuple[float, float]]
    height: float
    step_hz: float = 0.9
    phase: float = 0.0

    def keypoints(self, seconds: float) -> np.ndarray:
        swing = np.sin(2 * np.pi * (self.step_hz * seconds + self.phase)) * SWING
        offsets = STANDING + np.stack((swing, np.zeros(17)), axis=1)
        return np.array(self.path(seconds)) + offsets * self.height


# What yolo11n-pose did to walking people 70 pixels tall (vtest.avi, tools/measure_tracking.py), in
# COCO's order and for left and right: standard deviations of keypoints in square roots of the
# box's area, of the box's sides in heights, and how many people were missed or below 0.5.
KEYPOINT_NOISE = np.array(
    [0.013] * 5
    + [0.0145] * 2
    + [0.0175] * 2
    + [0.0225] * 2
    + [0.0155] * 2
    + [0.017] * 2
    + [0.021] * 2
)
BOX_NOISE = np.array((0.013, 0.006, 0.014, 0.008))
MISSED, UNSURE = 0.017, 0.033


@dataclass(frozen=True)
class Frame:
    """One image: when, what the model found, and whose each pose is.

    `visible` are the people whom a perfect model could see.
    """

    stamp: int
    poses: Poses
    owners: np.ndarray
    visible: list[int]


@dataclass(frozen=True)
class Scene:
    """People over time. Who is nearer to the camera (lower in the picture) hides others."""

    walks: tuple[Walk, ...]
    seconds: float = 10.0
    hz: float = 30.0
    lost: float = 0.0  # share of frames that never arrive
    shake: float = 0.0  # pixels, by which the whole picture shakes
    pillar: tuple[float, float] | None = None  # left and right of something that hides everybody

    def frames(self, seed: int) -> Iterator[Frame]:
        random = np.random.default_rng(seed)
        offset = np.zeros(2)
        for index in range(round(self.seconds * self.hz)):
            offset = 0.7 * offset + random.normal(0, self.shake, 2)
            if random.random() >= self.lost:
                yield self._frame(index, offset, random)

    def _frame(self, index: int, offset: np.ndarray, random: np.random.Generator) -> Frame:
        seconds = index / self.hz
        points = np.array([walk.keypoints(seconds) for walk in self.walks]) + offset
        heights = np.array([walk.height for walk in self.walks])
        boxes = np.concatenate((points.min(axis=1), points.max(axis=1)), axis=1)
        boxes += np.array((-0.04, -0.06, 0.04, 0.03)) * heights[:, None]
        hidden = self._hidden(points, boxes, offset)
        shares = hidden.mean(axis=1)
        visible = np.flatnonzero(shares < 0.75)
        sure = np.where(shares < 0.3, random.random(len(shares)) >= UNSURE, False)
        found = visible[random.random(len(visible)) >= MISSED * (1 + 5 * shares[visible])]

        noisy = boxes + random.normal(size=boxes.shape) * BOX_NOISE * heights[:, None]
        area = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))[:, None]
        sigma = KEYPOINT_NOISE * area * np.where(hidden, 3, 1)
        keypoints = np.empty((*hidden.shape, 3))
        keypoints[..., :2] = points + random.normal(size=points.shape) * sigma[..., None]
        keypoints[..., 2] = np.where(hidden, 0.2, 0.9)
        scores = np.where(
            sure, random.uniform(0.6, 0.9, len(sure)), random.uniform(0.3, 0.48, len(sure))
        )
        order = found[np.argsort(-scores[found])]
        keypoints = keypoints[order].astype(np.float32)
        return Frame(
            stamp=10**18 + round(seconds * 1e9),
            poses=Poses(
                noisy[order].astype(np.float32),
                scores[order].astype(np.float32),
                keypoints,
                states=observed(keypoints, 0.5),
            ),
            owners=order,
            visible=visible.tolist(),
        )

    def _hidden(self, points: np.ndarray, boxes: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Return (people, 17), which keypoints a nearer person, the pillar or the border hides."""
        inside = ((points >= 0) & (points < (WIDTH, HEIGHT))).all(axis=2)
        hidden = ~inside
        feet = boxes[:, 3]
        for nearer, (left, top, right, bottom) in enumerate(boxes):
            # A body fills the middle of its box.
            margin = 0.2 * (right - left)
            behind = (feet < feet[nearer])[:, None]
            x, y = points[..., 0], points[..., 1]
            covered = (x > left + margin) & (x < right - margin) & (y > top) & (y < bottom)
            hidden |= covered & behind
        if self.pillar:
            left, right = np.array(self.pillar) + offset[0]
            hidden |= (points[..., 0] > left) & (points[..., 0] < right)
        return hidden


def line(
    start: tuple[float, float], velocity: tuple[float, float]
) -> Callable[[float], tuple[float, float]]:
    """Return a straight path: pixels and pixels / s."""
    return lambda seconds: (start[0] + velocity[0] * seconds, start[1] + velocity[1] * seconds)


def to_and_fro(x: float, y: float, reach: float, period: float, phase: float = 0.0):
    """Return a path that swings about x, y."""
    return lambda seconds: (x + reach * np.sin(2 * np.pi * (seconds / period + phase)), y)


def crowd(seed: int = 5, count: int = 6) -> tuple[Walk, ...]:
    """Return people who cross in both directions."""
    random = np.random.default_rng(seed)
    walks = []
    for _ in range(count):
        height = random.uniform(200, 320)
        y = 420 + (height - 200) * 0.6 + random.uniform(-10, 10)
        reach, period = random.uniform(300, 560), random.uniform(9, 14)
        path = to_and_fro(WIDTH / 2, y, reach, period, random.random())
        walks.append(Walk(path, height, random.uniform(0.7, 1.1), random.random()))
    return tuple(walks)


# What a tracker has to cope with, by name.
SCENES = {
    "crossing": Scene(crowd()),
    "hidden for half a second": Scene(
        tuple(
            Walk(to_and_fro(640, 330 + 60 * i, 500, 12, i / 4), 240 + 25 * i, phase=i / 4)
            for i in range(4)
        ),
        seconds=12,
        pillar=(560, 740),
    ),
    "leaving and coming back": Scene(
        tuple(
            Walk(to_and_fro(640, 330 + 60 * i, 900, 14, i / 3), 240 + 25 * i, phase=i / 3)
            for i in range(3)
        ),
        seconds=14,
    ),
    "10 Hz, 30 % of frames lost": Scene(crowd(), seconds=20, hz=10, lost=0.3),
    "camera shaking": Scene(crowd(), shake=8),
}


def people(*places: tuple[float, float], score=0.9, height=200, class_id=0, hidden=()) -> Poses:
    """Return people who stand with their hips at these places."""
    keypoints = np.full((len(places), 17, 3), 0.9, np.float32)
    keypoints[..., :2] = np.reshape(places, (-1, 1, 2)) + STANDING * height
    keypoints[:, list(hidden), 2] = 0.1
    boxes = np.concatenate((keypoints[..., :2].min(axis=1), keypoints[..., :2].max(axis=1)), axis=1)
    return Poses(
        boxes,
        np.full(len(places), score, np.float32),
        keypoints,
        class_ids=np.full(len(places), class_id, np.int32),
        states=observed(keypoints, 0.5),
    )
