# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The latest few messages of a topic, by their stamps."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Generic, TypeVar

Item = TypeVar("Item")

_KEPT = 16  # half a second at 30 Hz: longer than an engine takes


class Recent(Generic[Item]):
    """One thread puts, another one looks up."""

    def __init__(self) -> None:
        self._items: deque[tuple[int, Item]] = deque(maxlen=_KEPT)
        self._lock = Lock()

    def put(self, stamp: int, item: Item) -> None:
        """Keep an item of a stamp, in nanoseconds, in place of the one that came first."""
        with self._lock:
            self._items.append((stamp, item))

    def nearest(self, stamp: int) -> tuple[int, Item] | None:
        """Return the item whose stamp is nearest to `stamp`, with its stamp; None if there is none.

        Those that came before it are forgotten: whoever looks up goes with time.
        """
        with self._lock:
            if not self._items:
                return None
            nearest = min(self._items, key=lambda item: abs(item[0] - stamp))
            while self._items[0] is not nearest:
                self._items.popleft()
            return nearest

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._items.clear()
