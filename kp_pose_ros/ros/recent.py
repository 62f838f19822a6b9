# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The latest few messages of a topic, by their stamps."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")

_KEPT = 8  # a quarter of a second at 30 Hz; they may be megabytes each
_EXPECTED = 4  # pictures in progress: one in the engine, one or two waiting


class Recent(Generic[Item]):
    """One thread adds messages, another one looks them up."""

    def __init__(self) -> None:
        self._items: list[tuple[int, Item]] = []
        self._expected: deque[int] = deque(maxlen=_EXPECTED)
        self._lock = Lock()

    def expect(self, stamp: int) -> None:
        """Keep what is nearest to a stamp, in nanoseconds, until it is looked up.

        Otherwise it might be gone after a slow inference.
        """
        with self._lock:
            self._expected.append(stamp)

    def put(self, stamp: int, item: Item) -> None:
        """Keep an item with a stamp, in nanoseconds; replace the first one that is not expected."""
        with self._lock:
            self._items.append((stamp, item))
            if len(self._items) > _KEPT:
                expected = {self._nearest(each) for each in self._expected}
                index = next(i for i in range(len(self._items)) if i not in expected)
                del self._items[index]

    def nearest(self, stamp: int) -> tuple[int, Item] | None:
        """Return the item whose stamp is nearest to `stamp`, with its stamp; None if there is none.

        Earlier items are dropped: look-ups are in the order of stamps.
        """
        with self._lock:
            while self._expected and self._expected[0] <= stamp:
                self._expected.popleft()
            if not self._items:
                return None
            del self._items[: self._nearest(stamp)]
            return self._items[0]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._items.clear()
            self._expected.clear()

    def _nearest(self, stamp: int) -> int:
        # The latest of equal ones: some drivers leave all stamps at 0.
        latest_first = reversed(range(len(self._items)))
        return min(latest_first, key=lambda index: abs(self._items[index][0] - stamp))
