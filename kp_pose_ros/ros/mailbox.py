# SPDX-FileCopyrightText: 2026 The kp_pose_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where callbacks leave frames for the worker: the newest one of each camera, nothing older."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")

_LOOK_AGAIN = 0.001  # seconds; a GPU tells only if it is asked


class Mailbox(Generic[Item]):
    """One slot a camera. Any thread may put, one thread takes."""

    def __init__(
        self, cameras: Iterable[str], when_wanted: Callable[[], object] = lambda: None
    ) -> None:
        """Make an empty one.

        Args:
            cameras: their names.
            when_wanted: called, in the taker's thread, when every camera's newest item is wanted.
        """
        self._slots: dict[str, Item] = {}
        self._turns = list(cameras)  # whose turn it is, longest waiting first
        self._when_wanted = when_wanted
        self._wanted = False
        self._filled = Condition()
        self._paused = self._closed = False
        self._taken = False  # whether the taker still works on what it took
        self._when_idle: list[Callable[[], None]] = []

    def put(self, camera: str, item: Item) -> bool:
        """Put an item into a camera's slot; return whether it pushed out one nobody had taken."""
        with self._filled:
            if self._paused or self._closed:
                return False
            pushed_out = camera in self._slots
            self._slots[camera] = item
            self._filled.notify()
        return pushed_out

    def wants(self, camera: str) -> bool:
        """Return whether a camera's newest item is of use now.

        While the taker works, one camera's is not: a newer one will be there when it is done. Of
        several cameras each may leave one, so that none is left out of the next batch.
        """
        return self._wanted or (len(self._turns) > 1 and camera not in self._slots)

    def call_for_items(self) -> None:
        """Say, as the one who takes, that the next `take` will come in a moment."""
        self._wanted = True
        self._when_wanted()

    def take(self, limit: int, until: Callable[[], bool] | None = None) -> list[tuple[str, Item]]:
        """Wait for items and return what is there, at most `limit` of them.

        Where more cameras are ready than that, those served longest ago go first. The list is
        empty once the mailbox is closed.

        Args:
            limit: how many items to take.
            until: given while the taker still works on what it took before. It is asked again and
                again; when it returns true, the list may be empty, too.
        """
        if not self._wanted:
            self.call_for_items()
        with self._filled:
            self._taken = until is not None
            self._tell_if_idle()
            while not (self._slots or self._closed or (until and until())):
                self._filled.wait(_LOOK_AGAIN if until else None)
            if self._closed or not self._slots:
                return []
            self._taken, self._wanted = True, False
            served = [camera for camera in self._turns if camera in self._slots][:limit]
            self._turns = [camera for camera in self._turns if camera not in served] + served
            return [(camera, self._slots.pop(camera)) for camera in served]

    def pause(self, when_idle: Callable[[], None]) -> list[str]:
        """Drop what comes from now on, and what is there; return the cameras whose that is.

        Args:
            when_idle: called, in any thread, once nobody works on what was taken before.
        """
        with self._filled:
            self._paused = True
            dropped = list(self._slots)
            self._slots.clear()
            self._when_idle.append(when_idle)
            self._tell_if_idle()
        return dropped

    def resume(self) -> None:
        """Keep what comes from now on."""
        with self._filled:
            self._paused = False

    def close(self) -> None:
        """Drop what is there and make `take` return, now and from now on."""
        with self._filled:
            self._closed = True
            self._slots.clear()
            self._filled.notify_all()

    def leave(self) -> None:
        """Say, as the one who takes, that there will be no `take` any more."""
        with self._filled:
            self._closed = True
            self._slots.clear()
            self._taken = False
            self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        while self._when_idle and not self._taken:
            self._when_idle.pop()()
