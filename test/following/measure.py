#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how reliably one of six people is followed, beside following a plain track_id.

tools/in_ros_env python3 test/following/measure.py --runs 200
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tracking"))

from simulated_crowd import NAMES, SIZE, Image, images

from kp_pose_ros.following.clothes import ClothesHistograms
from kp_pose_ros.following.follower import NOBODY, Follower, Sight
from kp_pose_ros.following.kinematics import coordinates
from kp_pose_ros.following.person import People

PATIENCE = 5.0  # seconds
EXCHANGED = 3  # images in a row


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    Attributes:
        end: "kept", "lost" or "exchanged": somebody else was taken for the target for 0.3 s.
        followed: in how many images the target was found.
        visible: in how many it could be seen, up to the end of the run.
        wrong: in how many images somebody else was taken for the target.
    """

    end: str
    followed: int
    visible: int
    wrong: int


class Plain:
    """What a planner does without this: follow the track_id."""

    def __init__(self, people: People, target: int, _stamp: int) -> None:
        self._track_id = people.track_ids[target]

    def update(self, people: People, _stamp: int) -> tuple[Sight, int]:
        """Return the person with that id."""
        found = np.flatnonzero(people.track_ids == self._track_id)
        return (Sight.VISIBLE, int(found[0])) if len(found) else (Sight.ABSENT, NOBODY)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to follow somebody: what does it, and what it knows."""

    follower: type[Follower] | type[Plain]
    colours: bool = True
    depth: bool = True


WAYS = {
    "the plain `track_id`": Way(Plain),
    "follow_target": Way(Follower),
    "without depth": Way(Follower, depth=False),
    "without the image": Way(Follower, colours=False),
}


def run(seed: int) -> dict[str, Outcome]:
    """Return the outcome of one run for each way to follow."""
    clothes = ClothesHistograms(NAMES)
    attempts: dict[str, Attempt] = {}
    for image in images(seed):
        indices = np.flatnonzero(image.poses.track_ids >= 0)
        poses, owners = image.poses[indices], image.owners[indices]
        histograms = clothes.compute(
            image.picture, poses, SIZE, -poses.boxes[:, 3].astype(np.float64)
        )
        for name, way in WAYS.items():
            positions = image.positions[indices] if way.depth else np.full((len(poses), 3), np.nan)
            known = histograms if way.colours else np.full_like(histograms, np.nan)
            where = coordinates(poses, positions, NAMES)
            people = People(poses, positions, np.full_like(positions, np.nan), known, where, SIZE)
            if name in attempts:
                attempts[name].update(people, owners, image)
            elif any(clear := (owners == 0) & np.isfinite(histograms).all(axis=(1, 2))):
                follower = way.follower(people, int(clear.argmax()), image.stamp)
                attempts[name] = Attempt(follower, image.stamp)
    return {name: attempt.outcome() for name, attempt in attempts.items()}


class Attempt:
    """To follow the target of one run in one way."""

    def __init__(self, follower: Follower | Plain, stamp: int) -> None:
        self._follower = follower
        self._stamp = self._seen = stamp
        self._counts = Counter[str]()
        self._in_a_row, self._is_exchanged = 0, False

    def update(self, people: People, owners: np.ndarray, image: Image) -> None:
        """Take in an image, unless the target is lost."""
        self._counts["visible"] += image.is_target_visible
        if self._stamp - self._seen > PATIENCE * 1e9:
            return
        self._stamp = image.stamp
        sight, index = self._follower.update(people, image.stamp)
        if sight is Sight.VISIBLE:
            self._seen = image.stamp
            is_right = owners[index] == 0
            self._counts["right" if is_right else "wrong"] += 1
            self._in_a_row = 0 if is_right else self._in_a_row + 1
            self._is_exchanged |= self._in_a_row >= EXCHANGED

    def outcome(self) -> Outcome:
        """Return what became of it."""
        is_lost = self._stamp - self._seen > PATIENCE * 1e9
        end = "exchanged" if self._is_exchanged else "lost" if is_lost else "kept"
        return Outcome(end, self._counts["right"], self._counts["visible"], self._counts["wrong"])


def main() -> None:
    """Print a row for each way to follow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=1000)
    args = parser.parse_args()
    seeds = range(args.first_seed, args.first_seed + args.runs)
    with ProcessPoolExecutor() as pool:
        outcomes = list(pool.map(run, seeds, chunksize=4))
    print(
        "| | exchanged | lost | kept | found of visible | images of others |\n" + "|---" * 6 + "|"
    )
    for name in WAYS:
        print_row(name, [each[name] for each in outcomes])
    for name in WAYS:
        ends = zip(seeds, (each[name].end for each in outcomes), strict=True)
        exchanged = [str(seed) for seed, end in ends if end == "exchanged"]
        print(f"\n{name}: exchanged with the seeds {', '.join(exchanged) or 'none'}", end="")
    print()


def print_row(name: str, outcomes: list[Outcome]) -> None:
    """Print how often the runs ended in each way."""
    ends = Counter(outcome.end for outcome in outcomes)
    share = sum(o.followed for o in outcomes) / max(1, sum(o.visible for o in outcomes))
    wrong = sum(o.wrong for o in outcomes)
    counts = " | ".join(str(ends[end]) for end in ("exchanged", "lost", "kept"))
    print(f"| {name} | {counts} | {share:.0%} | {wrong} |")


if __name__ == "__main__":
    main()
