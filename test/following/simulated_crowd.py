# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Six simulated people who walk about in front of a camera with depth, and what is seen of them.

They cross, stop, turn around and are hidden by each other and by a pillar; one of them, the target,
for about 2 s at a time. Some wear nearly the same. Detections have the noise, gaps and depth
errors of a model and a stereo camera; ids are the tracker's. Clothes are rendered, so that what
hides somebody is in the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from scenes import BOX_NOISE, KEYPOINT_NOISE

from kp_pose_ros.poses import Poses, observed
from kp_pose_ros.skeleton import Skeleton
from kp_pose_ros.tracking.tracker import make_trackers

Array = npt.NDArray[np.float64]

SIZE, FOCAL, CAMERA_HEIGHT = (720, 1280), 640.0, 1.2
SMALLER = 4  # the picture is rendered at a quarter of the size
HZ, SECONDS, COUNT = 10, 24, 6
APART = 0.7  # metres between the middles of two people
FARTHEST, TARGET_FARTHEST = 8.0, 3.5  # metres; a robot is nearer to whom it follows
NAMES = Skeleton.builtin("coco17").keypoint_names
# A standing person who faces us: metres to our right, and above the floor, of 1.7 m.
BODY = np.array(
    (
        *((0.0, 1.55), (0.03, 1.58), (-0.03, 1.58), (0.07, 1.56), (-0.07, 1.56)),
        *((0.19, 1.40), (-0.19, 1.40), (0.22, 1.12), (-0.22, 1.12), (0.24, 0.87)),
        *((-0.24, 0.87), (0.11, 0.92), (-0.11, 0.92), (0.11, 0.50), (-0.11, 0.50)),
        *((0.11, 0.08), (-0.11, 0.08)),
    )
)
SWING = np.array([0.0] * 7 + [0.1, -0.1, 0.2, -0.2, 0, 0, -0.15, 0.15, -0.28, 0.28])
MISSED, UNSURE = 0.02, 0.05  # a little more than was measured
NO_DEPTH = 0.1  # share of people without a distance in an image
BLEEDING = 0.2  # share of half hidden people with the distance of what hides them

TOPS = (
    *((40, 40, 45), (220, 220, 215), (150, 60, 40), (50, 50, 170), (60, 120, 60)),
    *((40, 170, 210), (120, 115, 110), (140, 70, 120), (90, 140, 180), (150, 140, 60)),
)
LEGS = ((45, 42, 40), (110, 70, 50), (120, 150, 175), (100, 100, 105), (60, 80, 70))


@dataclass(slots=True)
class Walker:
    """One person: where, in which direction, and in what clothes."""

    place: Array
    goal: Array
    speed: float
    yaw: float
    tallness: float
    top: Array
    print_: Array
    legs: Array
    pause: float = 0.0
    phase: float = 0.0

    def step(
        self, seconds: float, random: np.random.Generator, next_goal: Array, is_hidden: bool
    ) -> None:
        """Walk on, or stand and look about."""
        way = self.goal - self.place
        left = float(np.hypot(*way))
        if self.pause > 0:
            self.pause -= seconds
            if random.random() < seconds:
                self.yaw = random.uniform(-np.pi, np.pi)
        elif left < self.speed * seconds:
            self.place, self.goal = self.goal, next_goal
            self.pause = 0.0 if is_hidden else random.choice((0.0, 0.0, 1.0, 2.0))
        else:
            self.place = self.place + way / left * self.speed * seconds
            turn = np.arctan2(way[0], way[1]) + np.pi - self.yaw
            self.yaw += float(
                np.clip((turn + np.pi) % (2 * np.pi) - np.pi, -3 * seconds, 3 * seconds)
            )
            self.phase += self.speed * seconds / 1.4


class Crowd:
    """People, the pillar and the camera of one run."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.pillar = np.array((random.uniform(-0.6, 0.6), random.uniform(2.2, 2.8)))
        self.pillar_width = 0.35
        height, width = SIZE[0] // SMALLER, SIZE[1] // SMALLER
        self.texture = np.floor(random.normal(0, 6, (4, height, width, 3))).astype(np.int16)
        self.background = np.empty((height, width, 3), np.uint8)
        self.background[: height // 2], self.background[height // 2 :] = (
            (150, 155, 160),
            (90, 100, 110),
        )
        self.pan = random.choice((0.0, 0.15)), random.uniform(0.1, 0.25), random.uniform(0, 6.28)
        self.walkers: list[Walker] = []
        similar = random.permutation(COUNT - 1)[: random.integers(0, 3)] + 1
        for index in range(COUNT):
            top, legs = (
                np.array(TOPS[random.integers(len(TOPS))]),
                np.array(LEGS[random.integers(len(LEGS))]),
            )
            top, legs = top + random.normal(0, 10, 3), legs + random.normal(0, 8, 3)
            if index in similar:
                top = self.walkers[0].top + random.normal(0, 4, 3)
                legs = self.walkers[0].legs + random.normal(0, 4, 3)
            logo = top + random.normal(0, 60, 3)
            farthest = FARTHEST if index else TARGET_FARTHEST
            place = self._anywhere(farthest)
            self.walkers.append(
                Walker(
                    place,
                    self._anywhere(farthest),
                    speed=random.uniform(0.6, 1.4),
                    yaw=random.uniform(-np.pi, np.pi),
                    tallness=random.uniform(1.55, 1.9),
                    top=top,
                    print_=logo,
                    legs=legs,
                )
            )
        self.next_hiding, self.hiding = random.uniform(3, 7), np.zeros(2)

    def _anywhere(self, farthest: float = FARTHEST) -> Array:
        z = self.random.uniform(1.8, farthest)
        return np.array((self.random.uniform(-0.75, 0.75) * z, z))

    def step(self, seconds: float, now: float) -> None:
        """Let everybody walk; now and then the target walks behind the pillar, and stands there."""
        target = self.walkers[0]
        if now > self.next_hiding:
            behind = self.pillar * self.random.uniform(1.4, 1.9)
            if np.allclose(target.goal, behind, atol=0.5):
                behind = self._anywhere(TARGET_FARTHEST)
            target.goal = behind
            self.next_hiding = now + 9
            self.hiding = behind
        before, hiding = target.goal, self.hiding
        for walker in self.walkers:
            apart = walker.place[0] / walker.place[1] - self.pillar[0] / self.pillar[1]
            goal = self._anywhere(TARGET_FARTHEST if walker is target else FARTHEST)
            walker.step(seconds, self.random, goal, is_hidden=abs(apart) < 0.15)
        self._keep_apart()
        if target.goal is not before and before is hiding:
            target.pause = 0.7

    def _keep_apart(self) -> None:
        """Have people step aside for each other."""
        for index, walker in enumerate(self.walkers):
            for other in self.walkers[:index]:
                apart = walker.place - other.place
                distance = float(np.hypot(*apart))
                if distance < APART:
                    step = (APART - distance) / 2 * apart / max(distance, 0.01)
                    walker.place, other.place = walker.place + step, other.place - step

    def yaw(self, now: float) -> float:
        """Return where the camera looks."""
        size, hz, phase = self.pan
        return float(size * np.sin(2 * np.pi * hz * now + phase))


def project(points: Array) -> Array:
    """Return the pixels of (..., 3) points: right, above the floor, forward."""
    x, y, z = np.moveaxis(points, -1, 0)
    z = np.maximum(z, 0.3)
    pixels = (FOCAL * x / z + SIZE[1] / 2, SIZE[0] / 2 - FOCAL * (y - CAMERA_HEIGHT) / z)
    return np.stack(pixels, axis=-1)


@dataclass(frozen=True, slots=True)
class Image:
    """One image: what the model found, whose each pose is, and who can be seen at all."""

    stamp: int
    poses: Poses
    positions: Array
    owners: npt.NDArray[np.intp]
    is_target_visible: bool
    picture: npt.NDArray[np.uint8]


def images(seed: int) -> Iterator[Image]:
    """Yield the images of one run, with the ids of the tracker."""
    crowd = Crowd(seed)
    tracker = make_trackers(Skeleton.builtin("coco17"), {"": "camera"})[""]
    for index in range(SECONDS * HZ):
        now = index / HZ
        for part in range(2):
            crowd.step(0.5 / HZ, now + part * 0.5 / HZ)
        image = look(crowd, now)
        yield replace(image, poses=tracker.update(image.poses, image.stamp, SIZE))


def look(crowd: Crowd, now: float) -> Image:
    """Return what a camera with depth, and a model, see."""
    random, yaw = crowd.random, crowd.yaw(now)
    turn = np.array(((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw))))
    places = np.array([walker.place for walker in crowd.walkers]) @ turn.T
    pillar = crowd.pillar @ turn.T
    points = np.array([_body(w, p, yaw) for w, p in zip(crowd.walkers, places, strict=True)])
    pixels = project(points)
    boxes = np.concatenate((pixels.min(axis=1), pixels.max(axis=1)), axis=1)
    heights = FOCAL * 1.7 / np.maximum(places[:, 1], 0.3)
    boxes += np.array((-0.04, -0.09, 0.04, 0.04)) * heights[:, None]
    wall = project(
        np.array([(pillar[0] + s * crowd.pillar_width / 2, 0, pillar[1]) for s in (-1, 1)])
    )[:, 0]
    hidden = ~((pixels >= 0) & (pixels < SIZE[::-1])).all(axis=2)
    hider = np.full(COUNT, np.nan)
    for nearer, (left, top, right, bottom) in enumerate(boxes):
        margin = 0.2 * (right - left)
        covered = (pixels[..., 0] > left + margin) & (pixels[..., 0] < right - margin)
        covered &= (pixels[..., 1] > top) & (pixels[..., 1] < bottom)
        covered &= (places[:, 1] > places[nearer, 1])[:, None]
        hidden |= covered
        hider[covered.any(axis=1)] = places[nearer, 1]
    behind = (places[:, 1] > pillar[1])[:, None]
    hidden |= (pixels[..., 0] > wall[0]) & (pixels[..., 0] < wall[1]) & behind
    shares = hidden.mean(axis=1)
    visible = np.flatnonzero((shares < 0.75) & (places[:, 1] > 1.0))
    found = visible[random.random(len(visible)) >= MISSED * (1 + 5 * shares[visible])]
    found = found[random.random(len(found)) >= (shares[found] - 0.3).clip(0)]

    noisy = boxes + random.normal(size=boxes.shape) * BOX_NOISE * heights[:, None]
    noisy = noisy.clip(0, (SIZE[1], SIZE[0]) * 2)
    area = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))[:, None]
    sigma = KEYPOINT_NOISE * area * np.where(hidden, 3, 1)
    keypoints = np.empty((COUNT, 17, 3))
    keypoints[..., :2] = pixels + random.normal(size=pixels.shape) * sigma[..., None]
    keypoints[..., 2] = np.where(hidden, 0.2, 0.9)
    facing = np.array([np.cos(w.yaw - yaw) for w in crowd.walkers])
    keypoints[facing < -0.3, :3, 2] = 0.2  # nose and eyes of people who turn their backs
    sure = (shares < 0.3) & (random.random(COUNT) >= UNSURE)
    scores = np.where(sure, random.uniform(0.6, 0.9, COUNT), random.uniform(0.3, 0.48, COUNT))
    order = found[np.argsort(-scores[found])]

    positions = np.stack((places[:, 0], np.full(COUNT, CAMERA_HEIGHT - 0.9), places[:, 1]), axis=1)
    bleeds = np.isfinite(hider) & (shares > 0.3) & (random.random(COUNT) < BLEEDING)
    positions[bleeds] *= (hider / places[:, 1])[bleeds, None]
    distance = np.linalg.norm(positions, axis=1, keepdims=True)
    positions += random.normal(size=positions.shape) * (0.02 + 0.002 * distance**2)
    torso_hidden = hidden[:, (5, 6, 11, 12)].sum(axis=1) >= 3
    positions[torso_hidden | (random.random(COUNT) < NO_DEPTH)] = np.nan

    found_keypoints = keypoints[order].astype(np.float32)
    poses = Poses(
        noisy[order].astype(np.float32), scores[order].astype(np.float32), found_keypoints,
        states=observed(found_keypoints, 0.5),
    )  # fmt: skip
    picture = render(crowd, pixels, places, facing, (wall, pillar[1]))
    return Image(round(now * 1e9) + 10**18, poses, positions[order], order, 0 in visible, picture)


def _body(walker: Walker, place: Array, camera_yaw: float) -> Array:
    """Return (17, 3), the keypoints of a walker at a place: right, above the floor, forward."""
    facing = walker.yaw - camera_yaw
    across, up = BODY.T * walker.tallness / 1.7
    swing = SWING * np.sin(2 * np.pi * walker.phase) * (walker.pause <= 0)
    # Someone who faces us has their left on our right.
    x = across * np.cos(facing) - swing * np.sin(facing)
    z = across * np.sin(facing) + swing * np.cos(facing)
    return np.stack((place[0] + x, up, place[1] + z), axis=1)


def render(
    crowd: Crowd, pixels: Array, places: Array, facing: Array, pillar: tuple[Array, float]
) -> npt.NDArray[np.uint8]:
    """Return a small picture: people far to near, each in their clothes."""
    picture = crowd.background.copy()
    wall, depth = pillar
    is_pillar_drawn = False
    for index in np.argsort(-places[:, 1]):
        if places[index, 1] < depth and not is_pillar_drawn:
            is_pillar_drawn = True
            _draw_pillar(picture, wall)
        if places[index, 1] > 0.5:
            _draw(
                picture,
                crowd.walkers[index],
                pixels[index] / SMALLER,
                float(facing[index]),
                places[index],
            )
    if not is_pillar_drawn:
        _draw_pillar(picture, wall)
    noise = crowd.texture[crowd.random.integers(len(crowd.texture))]
    return cv2.add(picture, noise, dtype=cv2.CV_8U)  # type: ignore[return-value]


def _draw_pillar(picture: npt.NDArray[np.uint8], wall: Array) -> None:
    left, right = (wall / SMALLER).clip(0, picture.shape[1]).astype(int)
    picture[:, left:right] = (120, 130, 135)


def _draw(
    picture: npt.NDArray[np.uint8], walker: Walker, at: Array, facing: float, place: Array
) -> None:
    light = 1.0 + 0.2 * np.sin(1.3 * place[0] + 0.8 * place[1])  # lamps here and there
    side = 1.0 + 0.12 * facing
    thick = max(1, int(0.16 * FOCAL / SMALLER / place[1]))
    top, legs, logo = (
        tuple((c * light * side).clip(0, 255)) for c in (walker.top, walker.legs, walker.print_)
    )
    points = at.round().astype(np.int32)
    for hip, knee, ankle in ((11, 13, 15), (12, 14, 16)):
        cv2.polylines(picture, [points[[hip, knee, ankle]]], False, legs, thick)
    torso = points[[5, 6, 12, 11]]
    cv2.polylines(picture, [torso], True, top, thick)
    cv2.fillConvexPoly(picture, torso, top)
    if facing > 0.3:  # a print on the chest
        a, b = at[[5, 6, 12, 11]].mean(axis=0), (at[5] - at[6]) * 0.25
        corners = np.array((a - b - (0, thick), a + b - (0, thick), a + b, a - b))
        cv2.fillConvexPoly(picture, corners.round().astype(np.int32), logo)
    for shoulder, elbow, wrist in ((5, 7, 9), (6, 8, 10)):
        cv2.polylines(picture, [points[[shoulder, elbow, wrist]]], False, top, max(1, thick // 2))
    head = tuple(int(each) for each in at[0].round())
    cv2.circle(picture, head, thick, (120, 150, 190) if facing > 0 else (40, 50, 60), -1)
