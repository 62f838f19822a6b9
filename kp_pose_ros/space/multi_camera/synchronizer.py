# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Groups what several cameras saw at the same time, by the stamps of their images."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kp_pose_ros.timing import LATE, ImageClock

Item = TypeVar("Item")

_SILENCE = 2 * 10**9  # nanoseconds; a camera without images for longer is no longer waited for
_MOST = 500  # waiting items of a camera; more arise only from stamps that hardly advance


@dataclass(frozen=True, slots=True)
class Stamped(Generic[Item]):
    """What a camera saw, and when: nanoseconds."""

    stamp: int
    item: Item


class Synchronizer(Generic[Item]):
    """Groups items of different cameras into sets, as early as possible; each item is in one."""

    def __init__(self, cameras: Iterable[str], slop: int) -> None:
        """Start without items; stamps in a set differ by at most `slop` nanoseconds."""
        self._waiting: dict[str, list[Stamped[Item]]] = {name: [] for name in cameras}
        self._newest: dict[str, int] = {}
        self._slop = slop
        self.clear()

    def newest(self) -> dict[str, int]:
        """Return the newest stamp of each camera that an item came from."""
        return dict(self._newest)

    def put(self, camera: str, stamp: int, item: Item) -> list[dict[str, Stamped[Item]]]:
        """Add an item; return the sets, by camera, that are complete now, oldest first.

        A set has items of at least two cameras. It is complete when each other camera has sent a
        later item or has been silent for long. A stamp that jumps back starts everything over. If a
        camera sends several items with one stamp, the last one counts.
        """
        if stamp < self._newest.get(camera, stamp) - LATE:
            self.clear()
        if not self._newest:
            self._began = stamp
        self._newest[camera] = max(stamp, self._newest.get(camera, stamp))
        self._clock.advance(stamp)
        self._heard[camera] = self._clock.now
        self._insert(self._waiting[camera], Stamped(stamp, item))
        sets = []
        while (found := self._take()) is not None:
            if len(found) > 1:
                sets.append(found)
        return sets

    def clear(self) -> None:
        """Drop all items, and start over."""
        for items in self._waiting.values():
            items.clear()
        self._newest.clear()
        self._clock = ImageClock()
        self._heard: dict[str, int] = {}  # by camera, when its last item came

    def _is_silent(self, camera: str) -> bool:
        """Return whether a camera is no longer waited for.

        Its newest stamp is far behind the others', or, since theirs may stand still, they have sent
        very many items.
        """
        behind = max(self._newest.values()) - self._newest.get(camera, self._began)
        return max(behind, self._clock.now - self._heard.get(camera, self._began)) > _SILENCE

    @staticmethod
    def _insert(items: list[Stamped[Item]], seen: Stamped[Item]) -> None:
        index = bisect(items, seen.stamp, key=lambda each: each.stamp)
        if index and items[index - 1].stamp == seen.stamp:
            items[index - 1] = seen
        else:
            items.insert(index, seen)
            del items[:-_MOST]

    def _take(self) -> dict[str, Stamped[Item]] | None:
        """Remove and return the set of the oldest item; None if more of its items may come."""
        first = {}
        for name, items in self._waiting.items():
            if items:
                first[name] = items[0]
            elif not self._is_silent(name):
                return None
        if not first:
            return None
        oldest = min(seen.stamp for seen in first.values())
        found = {name: seen for name, seen in first.items() if seen.stamp - oldest <= self._slop}
        for name in found:
            del self._waiting[name][0]
        return found
